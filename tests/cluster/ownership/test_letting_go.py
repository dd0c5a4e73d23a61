"""A process stops running a citizen whose lease has ended, whatever it was doing with it at that moment."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scheduler.control.fleet import Fleet
from scheduler.control.member import Member
from scheduler.control.offline import OfflineControl
from scheduler.core.ports import FleetOptions
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import Owned
from scheduler.ownership.coordinator import LocalClaim
from tests.fakes import until


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    """One that looks often, and owns opus."""
    monkeypatch.setattr("scheduler.control.following.regular_checks.CHECK_EVERY", 0.05)
    (tmp_path / "root" / "opus").mkdir(parents=True)
    (tmp_path / "root" / "opus" / "experience.toml").touch()
    (tmp_path / "main.toml").write_text(f"root = {json.dumps(str(tmp_path / 'root'))}\n")
    made = Fleet(FleetOptions(config=tmp_path / "main.toml", wakes=False))
    await made.start()
    yield made
    await made.stop(0)


async def test_a_lease_that_ended_while_the_citizen_came_is_noticed_by_the_next_look(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No one heard of its end: each start was refused, for ever, and the machine never took it again."""
    assert isinstance(fleet.members["opus"].control, Scheduler)
    monkeypatch.setattr(LocalClaim, "in_place", lambda claim: False)
    monkeypatch.setattr(LocalClaim, "over", lambda claim: "its lease is over")
    await until(lambda: isinstance(fleet.members["opus"].control, OfflineControl), "it is let go of")
    assert fleet.members["opus"].refusal == "opus: its lease is over"


async def test_who_looks_for_its_owner_does_not_replace_a_citizen_that_came_meanwhile(fleet: Fleet) -> None:
    """Its scheduler ran on, with no one who could stop it, and each of its starts was refused."""
    owned = fleet.members["opus"]
    offline = OfflineControl(owned.settings, fleet.clock, Owned("opus runs on m2"))
    await fleet._refresh_offline(Member(owned.settings, offline), offline)
    assert fleet.members["opus"] is owned
