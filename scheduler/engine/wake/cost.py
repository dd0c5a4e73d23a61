"""What a citizen's wakes cost: entered before the turn, settled after it, held back by the budget."""

import logging
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from scheduler.agents.readers import read_report
from scheduler.agents.report import AgentReport
from scheduler.agents.report_file import BadReport, read_report_file
from scheduler.core.task import WakeConfig
from scheduler.spending.budget import RECENT, OverBudget, dearest, over_budget, spending, zone_of_days
from scheduler.spending.ledger import SpendingLedger
from scheduler.system.clock import Clock
from scheduler.system.foreign_home import remove

log = logging.getLogger("experience.wake")

FILE = Path(".experience") / "report.json"
WAKE = "wake"


class WakeCost:
    """The ledger as the wakes of one citizen use it; every method may block."""

    def __init__(self, citizen: str, home: Path, clock: Clock) -> None:
        self._citizen, self._home, self._clock = citizen, home, clock
        self._ledger = SpendingLedger(home)

    def over_budget(self, plan: WakeConfig) -> OverBudget | None:
        """The limit that one more wake could pass."""
        if plan.budget.day is None and plan.budget.month is None:
            return None
        self._ledger.load()
        now, today = self._clock.now(), self._today()
        most = dearest(self._ledger.last(WAKE, RECENT))
        month = spending(self._ledger.charges(today.replace(day=1), today), most)
        day = spending(self._ledger.charges(today, today), most)
        return over_budget(plan.budget, day, month, self._ledger.lift(today), now, zone_of_days())

    def enter(self, plan: WakeConfig, number: int) -> str:
        """The wake starts: its cost is unknown until it is settled. Its charge's name; raises OSError."""
        remove(self._home / FILE)
        run = f"{WAKE} {number} {self._clock.now():.3f}"
        if plan.report or plan.budget.day or plan.budget.month:
            self._ledger.enter(run, WAKE, self._today())
        return run

    def environment(self, plan: WakeConfig) -> Mapping[str, str]:
        """Where the agent may say what it cost, and what it may cost."""
        limit = {"EXPERIENCE_BUDGET": str(plan.budget.run)} if plan.budget.run else {}
        return {"EXPERIENCE_REPORT": str(self._home / FILE), **limit}

    def settle(self, plan: WakeConfig, run: str, output: str, failed: bool) -> AgentReport:
        """Note what the wake cost: by its report file, else by what its program printed."""
        report = self._report(plan, output, failed)
        known = report.cost is not None or report.tokens_in is not None
        if known and not self._ledger.knows(run):  # no budget is set, but the agent says what it cost
            self._ledger.enter(run, WAKE, self._today())
        if known:
            self._ledger.settle(run, report.cost, report.tokens_in, report.tokens_out)
        return report

    def _report(self, plan: WakeConfig, output: str, failed: bool) -> AgentReport:
        try:
            if report := read_report_file(self._home / FILE):
                return report
        except BadReport as error:
            log.warning(str(error), extra={"citizen": self._citizen, "task": WAKE})
        if not plan.report:
            return AgentReport()
        return read_report(plan.report, output, int(failed), self._clock.now(), zone_of_days())

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock.now(), zone_of_days()).date()


def amounts(report: AgentReport) -> dict[str, Any]:
    """What is known of the cost, for the wake's record; money as text, so that no digit is lost."""
    cost = None if report.cost is None else str(report.cost)
    known = {
        "cost_usd": cost,
        "tokens_in": report.tokens_in,
        "tokens_out": report.tokens_out,
        "turns": report.turns,
        "session": report.session or None,
        "summary": report.summary or None,
        "refused": report.refusal.kind if report.refusal else None,
    }
    return {name: value for name, value in known.items() if value is not None}
