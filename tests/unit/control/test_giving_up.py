"""A citizen that could not be taken up is free for another owner, whatever prevented it."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scheduler.alerts.alerter import Alarms
from scheduler.control import member_factory
from scheduler.control.fleet import Fleet
from scheduler.control.member import Member
from scheduler.control.member_factory import MemberFactory
from scheduler.core.ports import FleetOptions
from scheduler.engine.scheduler import Scheduler
from scheduler.system.unix_socket import socket_path
from tests.each import each

STEPS = [
    (Alarms, "listener"),
    (Scheduler, "start"),
    (member_factory, "owned"),
    (MemberFactory, "_shared_by_root"),
]


@pytest.fixture
def make(tmp_path: Path) -> Callable[[], Fleet]:
    """Fleets of the same citizen, opus."""
    (tmp_path / "root" / "opus").mkdir(parents=True)
    (tmp_path / "root" / "opus" / "experience.toml").touch()
    (tmp_path / "main.toml").write_text(f"root = {json.dumps(str(tmp_path / 'root'))}\n")
    return lambda: Fleet(FleetOptions(config=tmp_path / "main.toml", wakes=False))


async def owns(fleet: Fleet) -> bool:
    await fleet.start()
    control = fleet.members["opus"].control
    await fleet.stop(0)
    return isinstance(control, Scheduler)


@each(("where", "step"), STEPS)
async def test_after_an_error_of_the_disk(
    make: Callable[[], Fleet], monkeypatch: pytest.MonkeyPatch, where: Any, step: str
) -> None:
    async def broken(*arguments: Any, **more: Any) -> Any:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(where, step, broken)
        fleet = make()
        with pytest.raises(OSError, match="the disk is gone"):
            await fleet.start()
    assert await owns(make())
    await fleet.stop(0)


@each(("where", "step"), STEPS)
async def test_after_a_cancel(
    make: Callable[[], Fleet], monkeypatch: pytest.MonkeyPatch, where: Any, step: str
) -> None:
    reached = asyncio.Event()

    async def hangs(*arguments: Any, **more: Any) -> Any:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(where, step, hangs)
        fleet = make()
        starting = asyncio.create_task(fleet.start())
        await reached.wait()
        starting.cancel()
        await asyncio.wait({starting})
    assert starting.cancelled()
    assert await owns(make())
    await fleet.stop(0)


async def test_its_socket_is_closed_too(
    make: Callable[[], Fleet], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    socket, found = socket_path(tmp_path / "root" / "opus"), []

    async def cancelled(member: Member) -> None:
        found.append(socket.exists())
        raise asyncio.CancelledError

    monkeypatch.setattr(Member, "share", cancelled)
    fleet = make()
    with pytest.raises(asyncio.CancelledError):
        await fleet.start()
    assert (found, socket.exists()) == ([True], False)
    await fleet.stop(0)


async def test_a_scheduler_that_has_begun_is_stopped_before_the_home_is_free(
    make: Callable[[], Fleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Scheduler] = []

    async def broken(settings: Any, scheduler: Scheduler, *more: Any) -> Any:
        begun.append(scheduler)
        raise OSError("the disk is gone")

    monkeypatch.setattr(member_factory, "owned", broken)
    fleet = make()
    with pytest.raises(OSError, match="the disk is gone"):
        await fleet.start()
    assert begun[0].snapshot().events[-1].kind == "stopped"
    await fleet.stop(0)
