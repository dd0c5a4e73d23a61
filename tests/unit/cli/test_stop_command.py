"""The words and exit codes of `experience-tui stop --wait`."""

from scheduler.cli.verbs import stop
from scheduler.core.state import Failure
from scheduler.core.task import Outcome
from scheduler.core.views import TaskStatus, TaskView
from tests.each import each


@each(
    ("outcome", "more", "said", "failed"),
    [
        (Outcome.STOPPED, {"text": "stopped"}, "t: stopped", False),
        (
            Outcome.STOPPED,
            {"text": "stopped", "note": "waits for thread"},
            "t: stopped; it waits for thread",
            True,
        ),
        (Outcome.STOPPED, {"text": "stopped", "note": "queued: all 4 workers busy"}, "t: stopped", False),
        (Outcome.OK, {"text": "3 pages"}, "t: ok: 3 pages", False),
        (Outcome.FAILED, {"error": Failure(1.0, "no ink")}, "t: failed: no ink", True),
    ],
)
def test_a_stop_has_failed_where_something_runs_on_or_the_run_itself_failed(outcome, more, said, failed):
    task = TaskView("t", TaskStatus.OK, "5m", outcome=outcome, **more)
    assert (stop._said(task), stop._failed(task)) == (said, failed)
