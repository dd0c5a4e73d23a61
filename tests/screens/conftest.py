"""The same time of day on every machine, and pictures by name."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_textual_snapshot import SVGImageExtension
from syrupy import SnapshotAssertion
from syrupy.location import PyTestLocation
from syrupy.types import SnapshotIndex
from textual.widgets import Input

from tests.screens.driving import arrive
from tui.app import ExperienceApp


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _steady_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture is the same however long it took: the cursor of a field would be in half of them."""
    monkeypatch.setattr(Input.cursor_blink, "_default", False)


@pytest.fixture(autouse=True)
def _lasting_toasts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture shows what its keys said, however long they took: a toast goes after five seconds."""
    if "snap_compare" in request.fixturenames:
        monkeypatch.setattr(ExperienceApp, "NOTIFICATION_TIMEOUT", 3600.0)


class NamedPicture(SVGImageExtension):
    """A picture whose file is named for its situation, however the test is parametrized."""

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: SnapshotIndex = 0) -> str:
        return f"{test_location.methodname}[{index}]"


class NamedPictures:
    """The pictures of one test, each with a name; without one the plugin numbers them."""

    def __init__(self, snapshot: SnapshotAssertion) -> None:
        self._snapshot = snapshot

    def use_extension(self, extension: Any) -> SnapshotAssertion:
        self._pictures = self._snapshot.use_extension(NamedPicture)
        return self._pictures

    def expect(self, name: str) -> None:
        self._pictures(name=name)


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> NamedPictures:
    return NamedPictures(snapshot)


@pytest.fixture
def changed_looks(snapshot: NamedPictures, snap_compare: Callable[..., bool]) -> Callable[..., list[str]]:
    """The names of those situations that do not look like their pictures."""

    def looks(name: str, situation: Any) -> bool:
        snapshot.expect(name)
        before = arrive(*situation.keys)
        return snap_compare(situation.app(), run_before=before, terminal_size=situation.size)

    return lambda situations: [name for name, each in situations.items() if not looks(name, each)]
