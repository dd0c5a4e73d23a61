"""What an agent's program says of its own run: how it ended, its cost, its tokens, and why it failed."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from scheduler.agents.refusals.find_refusal import Failure, Refusal
from scheduler.core.costs import Usage


class Ending(StrEnum):
    OK = "ok"
    ERROR = "error"
    TURN_LIMIT = "turn_limit"
    BUDGET_LIMIT = "budget_limit"
    NO_RESULT = "no_result"  # the output ends before the program said how it went


@dataclass(frozen=True, slots=True)
class AgentReport:
    """What the output says; None and "" are what it does not say."""

    ending: Ending = Ending.NO_RESULT
    cost: Decimal | None = None  # US dollars, exact
    tokens_in: int | None = None  # everything sent, cache included
    tokens_out: int | None = None
    turns: int | None = None
    session: str = ""
    summary: str = ""  # of what it did; of programs, what they answered
    used: tuple[Usage, ...] = ()  # by model, where the output names models
    failure: Failure = Failure()  # noqa: RUF009  # frozen
    refusal: Refusal | None = None

    @property
    def kind(self) -> str:
        """The kind of the refusal, or how the run ended."""
        return self.refusal.kind if self.refusal else self.ending
