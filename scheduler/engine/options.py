"""The settings of a citizen other than its tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler.agents.refusals.refusal_rule import RefusalRule
from scheduler.core.costs import SpendingRules
from scheduler.core.secrets import Masks
from scheduler.core.task import Llm, Retention, WakeTask


@dataclass(frozen=True, slots=True)
class SchedulerOptions:
    """Options of a scheduler; durations are seconds."""

    workers: int = 4
    grace: float = 10.0
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    masks: Masks = field(default_factory=Masks, repr=False)
    wake: WakeTask | None = None
    wakes: bool = True  # urgent results wake the citizen
    background: bool = True
    llm: Llm | None = None
    refusals: tuple[RefusalRule, ...] = ()
    spending: SpendingRules = SpendingRules()  # noqa: RUF009  # frozen
    history: Retention = Retention()  # noqa: RUF009  # frozen
    journal: bool = True  # write failed runs into the citizen's memory
