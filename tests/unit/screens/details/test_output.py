"""What stands above the output of a run: its error only where the output does not end with it."""

from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome
from tests.each import each
from tui.details.output import message_above

BUG = "ValueError: no column 'price'"
FAILED, OK = Outcome.FAILED, Outcome.OK


@each(
    "outcome, message, printed, above, at_its_end",
    [
        (FAILED, BUG, f"it begins\nTraceback ...\n{BUG}\n", [], True),
        (FAILED, "exit 1: no such host", "starting\n\x1b[31mno such host\x1b[0m\n", ["exit 1"], True),
        (FAILED, "exit 1: no such host", "no such host\nstarting\n", ["exit 1: no such host"], False),
        (FAILED, "no route", "", ["no route"], False),
        (FAILED, "", "starting\n", [], False),
        (OK, "disk: 26%", "of 252G\n26%\n", ["disk: 26%"], False),
        (OK, "26%", "of 252G\n26%\n", [], True),
    ],
)
def test_an_error_is_said_once(
    outcome: Outcome, message: str, printed: str, above: list[str], at_its_end: bool
) -> None:
    run = RunRecord(1, "report", 0.0, 1.0, 1.0, outcome, None, 1, message, True)
    assert message_above(run, printed) == (above, at_its_end)
