"""Watch every citizen, with one asyncio task for each."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from scheduler.core.ports import Citizens, Control, FleetView
from scheduler.core.views import Snapshot
from scheduler.errors import SchedulerError

RETRY = 1.0  # seconds before the next attempt to reach a lost owner


class Subscriptions:
    """Passes on the newest view of the fleet and the newest snapshot of each citizen."""

    def __init__(
        self, fleet: Citizens, on_fleet: Callable[[FleetView], None], on_snapshot: Callable[[Snapshot], None]
    ) -> None:
        self._fleet, self._on_fleet, self._on_snapshot = fleet, on_fleet, on_snapshot
        self._tasks: dict[str, tuple[Control, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Watch until cancelled; raises the first error."""
        async with asyncio.TaskGroup() as group:
            async for view in self._fleet.watch():
                self._on_fleet(view)
                self._follow_only(view, group)

    def _follow_only(self, view: FleetView, group: asyncio.TaskGroup) -> None:
        wanted = {control.citizen: control for control in view.controls}
        for citizen, (control, task) in list(self._tasks.items()):
            if wanted.get(citizen) is not control:
                task.cancel()
                del self._tasks[citizen]
        for citizen, control in wanted.items():
            if citizen not in self._tasks:
                self._tasks[citizen] = (control, group.create_task(self._follow(control)))

    async def _follow(self, control: Control) -> None:
        last = Snapshot(control.citizen, owner="")
        while True:
            reason = "its scheduler has ended"
            try:
                async for snapshot in control.watch():
                    last = snapshot
                    self._on_snapshot(snapshot)
            except SchedulerError as error:
                reason = str(error)
            self._on_snapshot(replace(last, stale=reason))
            await asyncio.sleep(RETRY)
