"""Follows every citizen, for health and metrics."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from scheduler.control.fleet import Fleet
from scheduler.control.member import LocalControl, Member
from scheduler.core.views import Snapshot
from scheduler.storage.lock import abandoned, managed_by
from tui.serve.health import CitizenStatus, status_of
from tui.serve.metrics import EventCounts

BEAT = 2.0  # seconds between two requests for an owner's heartbeat
BEATS = 200  # owners asked in a second at most


class CitizenWatcher:
    """Attaches to every owner, as a screen does, and counts their events."""

    def __init__(self, fleet: Fleet, counts: EventCounts) -> None:
        self._fleet, self.counts = fleet, counts
        self._followed: dict[LocalControl, Callable[[], None]] = {}
        self._unowned_since: dict[str, float] = {}  # elapsed time
        self._heartbeats: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start following; raises whatever loading the settings raises."""
        await self._fleet.start()
        self._fleet.subscribe(self._follow)
        self._follow()
        self._heartbeats = asyncio.create_task(self._request_heartbeats(), name="heartbeats")

    async def stop(self) -> None:
        if self._heartbeats:
            self._heartbeats.cancel()
        await self._fleet.stop()

    async def statuses(self) -> list[CitizenStatus]:
        """The present status of every citizen."""
        members = sorted(self._fleet.members.items())
        ownerless = [member for _, member in members if _without_owner(member.control.snapshot())]
        expected = await asyncio.to_thread(_expected, ownerless)
        return [self._status(member, member.settings.name in expected) for _, member in members]

    def _status(self, member: Member, expected: bool) -> CitizenStatus:
        snapshot, pulse = member.control.snapshot(), member.control.pulse()
        gone = self._fleet.clock.elapsed() - self._unowned_since.get(
            snapshot.citizen, self._fleet.clock.elapsed()
        )
        return status_of(snapshot, pulse, expected, gone)

    def _follow(self) -> None:
        controls = {member.control for member in self._fleet.members.values()}
        for control in self._followed.keys() - controls:
            self._followed.pop(control)()
        for control in controls - self._followed.keys():
            self._followed[control] = control.subscribe(partial(self._on_snapshot, control))
            self._on_snapshot(control)
        self.counts.keep({control.citizen for control in controls})

    def _on_snapshot(self, control: LocalControl) -> None:
        snapshot = control.snapshot()
        self.counts.count(snapshot)
        if _without_owner(snapshot):
            self._unowned_since.setdefault(snapshot.citizen, self._fleet.clock.elapsed())
        else:
            self._unowned_since.pop(snapshot.citizen, None)

    async def _request_heartbeats(self) -> None:
        """Ask each owner from time to time, to detect one that hangs."""
        while True:
            await asyncio.sleep(max(BEAT, len(self._followed) / BEATS))
            for control in list(self._followed):
                control.pulse()


def _without_owner(snapshot: Snapshot) -> bool:
    return not snapshot.owner or bool(snapshot.stale)


def _expected(members: list[Member]) -> set[str]:
    """The citizens whose owner died, or that a service should run."""
    return {member.settings.name for member in members if _is_expected(member.settings.home)}


def _is_expected(home: Path) -> bool:
    try:
        return abandoned(home) or managed_by(home) is not None
    except OSError:  # an unreadable home, or one that is gone
        return False
