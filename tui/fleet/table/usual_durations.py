"""The usual durations of the rows in sight, read once from their history."""

import asyncio
from collections.abc import Callable, Iterable

from scheduler.core.ports import Control
from scheduler.core.records import LISTED
from scheduler.core.views import Snapshot
from scheduler.errors import SchedulerError
from tui.common.task_ref import Place
from tui.common.usual_duration import ENDED, Usual, usual


class UsualTimes:
    """Durations of the last runs of each row; later runs are added from snapshots."""

    def __init__(self, find: Callable[[str], Control | None]) -> None:
        self._find = find
        self._seconds: dict[Place, list[float]] = {}
        self._counts: dict[Place, int] = {}
        self._known: dict[Place, Usual | None] = {}

    def of(self, row: Place) -> Usual | None:
        """The usual duration for this row, as far as it is known."""
        return self._known.get(row)

    def update_snapshot(self, snapshot: Snapshot) -> None:
        """Add the durations of runs that ended."""
        for task in snapshot.tasks:
            row, count = Place(snapshot.citizen, task.name), task.run_count
            seconds = self._seconds.get(row)
            if seconds is None or count == self._counts.get(row) or task.last_duration is None:
                continue
            if task.outcome in ENDED:
                self._seconds[row] = [*seconds, task.last_duration][-LISTED:]
                self._known[row] = usual(self._seconds[row])
            self._counts[row] = count

    async def ask(self, rows: Iterable[Place]) -> None:
        """Ask the owners of these rows: citizens in parallel, the rows of one in sequence."""
        by_citizen: dict[str, list[Place]] = {}
        for row in rows:
            if row not in self._seconds:
                by_citizen.setdefault(row[0], []).append(row)
        await asyncio.gather(*(self._ask(name, wanted) for name, wanted in by_citizen.items()))

    async def _ask(self, citizen: str, rows: list[Place]) -> None:
        for row in rows:
            control = self._find(citizen)
            if control is None:
                return
            try:
                runs = await control.history(row[1], limit=LISTED)
            except SchedulerError:
                runs = ()
            seconds = [run.seconds for run in reversed(runs) if run.outcome in ENDED]
            self._seconds[row], self._known[row] = seconds, usual(seconds)
