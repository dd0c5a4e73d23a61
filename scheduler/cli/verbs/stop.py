"""`experience-tui stop`: ends runs, as a timeout would; with --wait it waits until they have ended."""

from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.exit_codes import FAILED, OK
from scheduler.cli.options import GRAMMAR, action_options, citizens_and_tasks, every_citizen, tasks_argument
from scheduler.cli.verbs.run_verb import ResultPrinter, run_verb
from scheduler.core.views import LEFT_BEHIND, TaskView

if TYPE_CHECKING:
    from scheduler.control.member import LocalControl


@click.command(
    "stop",
    help="Stop runs. Their processes get 5 seconds to end; a second `stop` kills them at once. A stopped run"
    f" is no failure and is not retried. A run that waits for a worker is cancelled.\n\n{GRAMMAR}",
    epilog="Example: experience-tui stop opus wake --wait",
)
@tasks_argument
@every_citizen
@click.option("--wait", is_flag=True, help="Wait until they have ended; exit code 1 if anything still runs.")
@action_options
def stop_command(words: tuple[str, ...], every: bool, wait: bool, **how: Any) -> int:
    async def act(control: "LocalControl", result: ResultPrinter) -> int:
        receipt = await control.stop_run(result.task)
        if not (wait and receipt.run):
            return result.receipt(receipt, control)
        ended = await control.wait(result.task, receipt.run)
        result(_said(ended), outcome=ended.outcome)
        return FAILED if _failed(ended) else OK

    citizens, tasks = citizens_and_tasks(words, every)
    return run_verb(citizens, tasks, act, **how)


def _said(task: TaskView) -> str:
    from scheduler.control.session import outcome_of

    return outcome_of(task) + (f"; it {task.note}" if task.note.startswith(LEFT_BEHIND) else "")


def _failed(task: TaskView) -> bool:
    return task.outcome is None or task.outcome.bad or task.note.startswith(LEFT_BEHIND)
