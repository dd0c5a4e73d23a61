"""What an owner says of a citizen whose files this user may not read: asked through its group's socket."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from scheduler.control.client import RemoteControl
from scheduler.core.records import RunQuery, RunRecord
from scheduler.core.views import Snapshot
from scheduler.errors import Disconnected
from scheduler.system.clock import SystemClock
from scheduler.system.unix_socket import door, not_ours

T = TypeVar("T")


def snapshot(citizen: str, home: Path) -> Snapshot | None:
    """The citizen as its owner shows it; None if it is ours to read, or nobody answers."""

    async def shown(control: RemoteControl) -> Snapshot:
        return control.snapshot()

    return _asked(citizen, home, shown)


def runs(citizen: str, home: Path, asked: RunQuery) -> tuple[RunRecord, ...] | None:
    """Its runs, as `history.runs` has them; None as above."""

    def listed(control: RemoteControl) -> Awaitable[tuple[RunRecord, ...]]:
        return control.history(asked.task, limit=asked.limit, failed=asked.failed, before=asked.before)

    return _asked(citizen, home, listed)


def output(citizen: str, home: Path, run: int) -> str | None:
    """What a run of it printed; None as above."""
    return _asked(citizen, home, lambda control: control.output(run))


def _asked(citizen: str, home: Path, question: Callable[[RemoteControl], Awaitable[T]]) -> T | None:
    if not not_ours(home):
        return None

    async def ask() -> T | None:
        try:
            control = RemoteControl(citizen, door(home), clock)
            await control.start()
        except (Disconnected, OSError):
            return None
        try:
            return await question(control)
        finally:
            await control.stop()

    clock = SystemClock()
    try:
        return asyncio.run(ask())
    finally:
        clock.close()
