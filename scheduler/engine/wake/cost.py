"""What a citizen's wakes cost: entered before the turn, settled after it, held back by the budget."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scheduler.agents.report import AgentReport
from scheduler.core.costs import RunCost, SpendingRules
from scheduler.core.task import WakeConfig
from scheduler.engine.run_costs import RunCharge, RunCosts
from scheduler.schema.json_codec import to_json
from scheduler.spending.account import AllCitizens
from scheduler.spending.budget import OverBudget
from scheduler.system.clock import Clock

WAKE = "wake"


class WakeCost:
    """The account of a citizen as its wakes use it; every method may block."""

    def __init__(self, citizen: str, home: Path, clock: Clock) -> None:
        self._costs = RunCosts(citizen, home, clock, AllCitizens(home.parent))
        self._charge: RunCharge | None = None

    @property
    def rules(self) -> SpendingRules:
        return self._costs.account.rules

    @rules.setter
    def rules(self, rules: SpendingRules) -> None:
        self._costs.account.rules = rules

    def over_budget(self) -> OverBudget | None:
        """The limit that one more wake could pass."""
        return self._costs.limit(WAKE)

    def enter(self, plan: WakeConfig) -> None:
        """The wake starts: its cost is unknown until it is settled. Raises OSError: it must not start."""
        if not (plan.report or self._costs.account.limited()):
            self._charge = self._costs.new_charge(WAKE)
            return
        entered = self._costs.enter(WAKE)
        if isinstance(entered, OverBudget):
            raise OSError(str(entered))
        self._charge = entered

    def environment(self) -> Mapping[str, str]:
        """Where the agent may say what it cost, and what it may cost."""
        return self._costs.environment(self._charge) if self._charge else {}

    def settle(self, plan: WakeConfig, output: str, failed: bool) -> dict[str, Any]:
        """Note what the wake cost; what is known of it, for its record."""
        if self._charge is None:
            return {}
        report, cost = self._costs.settle(self._charge, plan.report, output, failed)
        return _amounts(report, cost)


def _amounts(report: AgentReport, cost: RunCost | None) -> dict[str, Any]:
    """For the wake's record; money as text, so that no digit is lost."""
    known: dict[str, Any] = {} if cost is None else to_json(cost)
    known.pop("unknown", None)
    return {**known, **({"refused": report.refusal.kind} if report.refusal else {})}
