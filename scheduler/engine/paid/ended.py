"""How a paid run ended, and what its program and its provider said by that."""

from dataclasses import dataclass

from scheduler.agents import FILE
from scheduler.agents.readers import read_report, refusal_in
from scheduler.agents.refusals.find_refusal import Refusal
from scheduler.agents.refusals.refusal_rule import Rules
from scheduler.agents.report import AgentReport
from scheduler.core.task import Command, Outcome, Task
from scheduler.executors.result import Result
from scheduler.spending.budget import zone_of_days

ENDED_BY_OTHERS = frozenset((Outcome.INTERRUPTED, Outcome.STOPPED))
NOT_ITS_OWN = ENDED_BY_OTHERS | {Outcome.TIMED_OUT}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended, as far as it matters for its cost and its provider."""

    result: Result
    took: float = 0.0
    asked: bool = True  # False: its program did not start, and the provider was not asked

    @property
    def outcome(self) -> Outcome:
        return self.result.outcome

    @property
    def tried(self) -> bool:
        """Whether the run says something of its provider."""
        return self.asked and self.outcome not in ENDED_BY_OTHERS

    def report(self, task: Task, output: str, now: float, rules: Rules) -> AgentReport | None:
        """The report of the task's program on a run that ended by itself."""
        if not task.report or task.report == FILE or self.outcome in NOT_ITS_OWN:
            return None
        code = self.result.code
        exit_code = int(self.outcome.bad) if code is None else 128 - code if code < 0 else code
        return read_report(task.report, output, exit_code, now, zone_of_days(), rules)

    def refusal(
        self, task: Task, output: str, report: AgentReport | None, now: float, rules: Rules
    ) -> Refusal | None:
        """The provider's refusal, if any; words in the output count only if the run failed."""
        if self.outcome is not Outcome.FAILED:
            return None
        if report or not task.provider:
            return report.refusal if report else None
        text = f"{output}\n{self.result.text}" if output else self.result.text
        return refusal_in(text, now, zone_of_days(), rules)


def has_run(task: Task, result: Result) -> bool:
    """Whether its program got control; one that a worker could not start has no exit code."""
    failed = result.outcome is Outcome.FAILED and result.code is None
    return not (task.queue and isinstance(task.work, Command) and failed)
