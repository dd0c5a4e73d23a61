"""What tests share: a clock that stands still, and a citizen's scheduler on it."""

import logging
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.task import Task
from tests.building import Factory, notes_in
from tests.fakes import FakeClock

sys.unraisablehook = sys.__unraisablehook__
if hasattr(signal, "SIGHUP"):  # whoever starts the tests with nohup: their children are to be hung up on
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "opus"
    folder.mkdir()
    return folder


@pytest.fixture
async def build(home: Path, clock: FakeClock) -> AsyncIterator[Factory]:
    factory = Factory(home, clock)
    yield factory
    await factory.close()


@pytest.fixture
def runs() -> list[Any]:
    return []


@pytest.fixture
def noting(clock: FakeClock, runs: list[Any]) -> Callable[..., Task]:
    return notes_in(runs, clock)


@pytest.fixture(autouse=True)
def _no_ambient_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Whatever this machine has configured stays out of the tests."""
    for name in ("EXPERIENCE_ROOT", "EXPERIENCE_CONFIG", "NO_COLOR", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    yield


@pytest.fixture(autouse=True)
def _shared_folder_as_it_was() -> Iterator[None]:
    """A test that closes the machine's temporary folder makes later ones fail, far from the cause."""
    folder = Path(tempfile.gettempdir())
    before = folder.stat().st_mode
    yield
    after = folder.stat().st_mode
    if after != before:
        folder.chmod(before)
    assert oct(after) == oct(before), f"the mode of {folder} is another one after this test"


@pytest.fixture(autouse=True)
def _loggers_as_new() -> None:
    """What an earlier test, or a library in it, did to our loggers is undone."""
    logging.disable(logging.NOTSET)
    for name in ("experience", *logging.root.manager.loggerDict):
        if name.partition(".")[0] == "experience":
            logger = logging.getLogger(name)
            logger.disabled, logger.propagate = False, True
            logger.setLevel(logging.NOTSET)
