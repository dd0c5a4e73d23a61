"""The report of an agent's program on its own run: how it ended, its cost, its tokens, why it failed."""

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
    """The report in an output; None and "" stand for what is not in it."""

    ending: Ending = Ending.NO_RESULT
    cost: Decimal | None = None  # US dollars, exact
    tokens_in: int | None = None  # everything sent, cache included
    tokens_out: int | None = None
    turns: int | None = None
    session: str = ""
    summary: str = ""  # what the run did; for programs, their answer
    used: tuple[Usage, ...] = ()  # by model, where the output names models
    failure: Failure = Failure()  # noqa: RUF009  # frozen
    refusal: Refusal | None = None

    @property
    def kind(self) -> str:
        """The kind of refusal, or else how the run ended."""
        return self.refusal.kind if self.refusal else self.ending
