"""`experience-tui reset`: forgets the last run of tasks, so that they are due at the next check."""

from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.options import GRAMMAR, action_options, citizens_and_tasks, every_citizen, tasks_argument
from scheduler.cli.verbs.run_verb import ResultPrinter, run_verb

if TYPE_CHECKING:
    from scheduler.control.member import LocalControl


@click.command(
    "reset",
    short_help="Forget the last run of tasks: due at the next check.",
    help=f"Forget the last run and error of tasks; they are due at the next check.\n\n{GRAMMAR}",
    epilog="Example: experience-tui reset opus news_scan",
)
@tasks_argument
@every_citizen
@action_options
def reset_command(words: tuple[str, ...], every: bool, **how: Any) -> int:
    async def act(control: "LocalControl", result: ResultPrinter) -> int:
        return result.receipt(await control.reset(result.task), control)

    citizens, tasks = citizens_and_tasks(words, every)
    return run_verb(citizens, tasks, act, **how)
