"""`experience-tui pause` and `resume`: whether the schedule starts tasks, for a time or until resumed."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.exit_codes import OK
from scheduler.cli.options import GRAMMAR, action_options, citizens_and_rest, every_citizen, tasks_or_all
from scheduler.cli.verbs.run_verb import ResultPrinter, run_verb
from scheduler.cli.verbs.until_options import UntilOptions, until_options, zone_of
from scheduler.core.views import Receipt, TaskView
from scheduler.system.clock import SystemClock

if TYPE_CHECKING:
    from scheduler.control.member import LocalControl

ALL_OF_IT = "Without TASK: every task of the citizen, and its wake."


@click.command(
    "pause",
    short_help="Stop scheduling tasks, until `resume` or for a time.",
    help="Stop scheduling these tasks, until `resume` or for a time; `force` still works.\n\n"
    f"{GRAMMAR} {ALL_OF_IT}",
    epilog='Example: experience-tui pause opus news_scan --for 2h --why "the feed moves"',
)
@tasks_or_all
@every_citizen
@until_options
@action_options
def pause_command(
    words: tuple[str, ...], every: bool, end: str | None, length: float | None, why: str, **how: Any
) -> int:
    hold = UntilOptions(end, length, why)

    async def act(control: "LocalControl", result: ResultPrinter) -> int:
        until = hold.until(SystemClock.now(), zone_of(control))

        async def pause(task: str) -> Receipt:
            return await control.pause(task, until=until, why=why)

        return await _each(control, result, pause, [view.name for view in control.snapshot().tasks])

    citizens, tasks = citizens_and_rest(words, every)
    return run_verb(citizens, tasks, act, **how)


@click.command(
    "resume",
    help=f"Schedule these tasks again.\n\n{GRAMMAR} {ALL_OF_IT}",
    epilog="Example: experience-tui resume opus news_scan",
)
@tasks_or_all
@every_citizen
@action_options
def resume_command(words: tuple[str, ...], every: bool, **how: Any) -> int:
    async def act(control: "LocalControl", result: ResultPrinter) -> int:
        paused = [view.name for view in control.snapshot().tasks if _is_paused(view)]
        if not (paused or result.task):
            result(f"{control.citizen}: nothing is paused")
        return await _each(control, result, control.resume, paused)

    citizens, tasks = citizens_and_rest(words, every)
    return run_verb(citizens, tasks, act, **how)


def _is_paused(view: TaskView) -> bool:
    return view.paused_at is not None or view.paused


async def _each(
    control: "LocalControl",
    result: ResultPrinter,
    act: Callable[[str], Awaitable[Receipt]],
    all_tasks: Sequence[str],
) -> int:
    """Act on the result's task, or on all of these if the result is for the whole citizen."""
    tasks = [result.task] if result.task else all_tasks
    return max([result.of(task).receipt(await act(task), control) for task in tasks], default=OK)
