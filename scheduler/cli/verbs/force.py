"""`experience-tui force`: runs tasks now; with --wait it prints their output as it comes."""

from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.exit_codes import FAILED, OK
from scheduler.cli.options import GRAMMAR, action_options, citizens_and_tasks, every_citizen, tasks_argument
from scheduler.cli.printing import Printout
from scheduler.cli.verbs.run_verb import ResultPrinter, exit_code_for, run_verb
from scheduler.core.views import OutputChunk

if TYPE_CHECKING:
    from scheduler.control.member import LocalControl


@click.command(
    "force",
    help="Run tasks now, whatever their schedules. If no process owns the citizen, this command runs them"
    f" itself.\n\n{GRAMMAR}",
    epilog="Example: experience-tui force opus news_scan --wait",
)
@tasks_argument
@every_citizen
@click.option("--wait", is_flag=True, help="Show the output until the run ends; exit code 1 if it failed.")
@click.option("--again", is_flag=True, help="If it is running, queue another run.")
@action_options
def force_command(words: tuple[str, ...], every: bool, wait: bool, again: bool, **how: Any) -> int:
    from scheduler.executors.stdout_capture import capture_prints

    citizens, tasks = citizens_and_tasks(words, every)
    waiting = _Waiting()

    async def act(control: "LocalControl", result: ResultPrinter) -> int:
        if wait or control.snapshot().owner == "here":
            return await waiting.force(control, result, again=again, show=wait)
        return result.receipt(await control.force(result.task, again=again), control)

    with capture_prints():  # a handler in this process prints into its run's output
        return run_verb(citizens, tasks, act, interrupted=waiting.interrupted, **how)


class _Waiting:
    """The runs that this command waits for."""

    def __init__(self) -> None:
        self._under_way: dict[str, LocalControl] = {}

    async def force(self, control: "LocalControl", result: ResultPrinter, *, again: bool, show: bool) -> int:
        """Run the task and print its outcome; return the exit code."""
        from scheduler.control.session import force_and_wait, outcome_of

        name, prints = f"{result.citizen}/{result.task}", _Prints(result)
        self._under_way[name] = control
        try:
            shown = prints.show if show else None
            ended = await force_and_wait(control, result.task, again=again, on_output=shown)
        finally:
            await prints.end()
            del self._under_way[name]
        output = {"output": prints.text} if show and result.as_json else {}
        result(outcome_of(ended), outcome=ended.outcome, **output)
        return OK if ended.outcome and ended.outcome.done else FAILED

    def interrupted(self) -> None:
        """Print what happens to the runs after ctrl+c."""
        for name, control in self._under_way.items():
            exit_code_for(control, name)


class _Prints:
    """The output of one run: printed as it comes, or collected for the JSON object."""

    def __init__(self, result: ResultPrinter) -> None:
        self._result, self.text = result, ""
        self._printout = Printout(f"{result.prefix}{result.task}: " if result.prefix else "")

    async def show(self, piece: OutputChunk) -> None:
        if self._result.as_json:
            gap = f"\n… {piece.skipped:,} bytes left out …\n" if piece.skipped else ""
            self.text += f"{gap}{piece.text}"
        else:
            await _echo(self._printout.add(piece))

    async def end(self) -> None:
        await _echo(self._printout.end())


async def _echo(text: str) -> None:
    """Print in a thread: a blocked terminal must not hold up the run, which may be in this process."""
    from asyncio import to_thread

    if text:
        await to_thread(click.echo, text, nl=False)
