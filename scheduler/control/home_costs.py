"""What a citizen that no process runs has spent, from the ledger in its home."""

from collections.abc import Hashable
from dataclasses import replace

from scheduler.config.settings import CitizenSettings
from scheduler.core.views import Snapshot
from scheduler.engine.paid.summary import Summary, summarise
from scheduler.spending.account import FOLDER
from scheduler.spending.budget import today_of
from scheduler.spending.ledger import SpendingLedger


class HomeCosts:
    """The ledger of one home, which is summed up again only when it or the day has changed."""

    def __init__(self, settings: CitizenSettings) -> None:
        self._settings, self._ledger = settings, SpendingLedger(settings.home / FOLDER)
        self._mark: Hashable = None
        self._summary: Summary | None = None

    def shown_in(self, snapshot: Snapshot, now: float) -> Snapshot:
        """The snapshot with what was spent; as it is if the ledger cannot be read. Blocks."""
        try:
            self._ledger.load()
        except OSError:
            return snapshot
        budget, tasks = self._settings.spending.budget, (self._settings.wake, *self._settings.tasks)
        mark = self._ledger.mark, today_of(budget, now)
        if self._summary is None or mark != self._mark:
            schedules = {task.name: task.schedule for task in tasks}
            self._mark, self._summary = mark, summarise(self._ledger, budget, schedules, now)
        today, month = self._summary.today, self._summary.month
        rows = (
            replace(row, cost_today=today.get(row.name, ""), cost_month=month.get(row.name, ""))
            for row in snapshot.tasks
        )
        return replace(snapshot, tasks=tuple(rows), money=self._summary.money)
