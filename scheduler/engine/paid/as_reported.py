"""The result of a run as its agent's program reports it, which tells more than the exit code."""

from dataclasses import replace

from scheduler.agents.report import AgentReport, Ending
from scheduler.core.state import first_line
from scheduler.core.task import Outcome
from scheduler.executors.result import Result, exit_words, storable_text

_LIMITS = {Ending.TURN_LIMIT: "reached its limit of turns", Ending.BUDGET_LIMIT: "reached its budget"}


def as_reported(result: Result, report: AgentReport) -> Result:
    """The result by the program's report: a run that reports a failure failed, even with exit code 0."""
    if report.ending is Ending.NO_RESULT:
        return result
    outcome = _outcome(result.outcome, report.ending)
    said = report.summary if report.ending is Ending.OK else report.failure.text
    text = first_line(said) or _LIMITS.get(report.ending, "")
    if text and report.ending is Ending.OK and result.outcome.bad:  # an answer is no reason for a failure
        text = f"{exit_words(result.code)}: {text}"
    return replace(result, outcome=outcome, text=storable_text(text) or result.text)


def _outcome(outcome: Outcome, ending: Ending) -> Outcome:
    if outcome.bad:
        return outcome
    return Outcome.FAILED if ending is Ending.ERROR else Outcome.WARNING if ending in _LIMITS else outcome
