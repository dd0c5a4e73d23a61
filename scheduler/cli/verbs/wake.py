"""`experience-tui wake`: wakes citizens now; with --wait it waits until the wakes have ended."""

from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.exit_codes import FAILED, OK
from scheduler.cli.options import action_options, every_citizen, some_citizens
from scheduler.cli.verbs.run_verb import ResultPrinter, exit_code_for, run_verb
from scheduler.core.task import Outcome

if TYPE_CHECKING:
    from scheduler.control.member import LocalControl


@click.command("wake", epilog="Example: experience-tui wake opus --wait")
@some_citizens
@every_citizen
@click.option(
    "--wait", is_flag=True, help="Wait until it ends; exit code 1 if the wake failed or was refused."
)
@action_options
def wake_command(names: tuple[str, ...], every: bool, wait: bool, **how: Any) -> int:
    """Wake citizens now. If no process owns the citizen, this command wakes it itself and waits."""

    waited: list[LocalControl] = []

    async def act(control: "LocalControl", result: ResultPrinter) -> int:
        if wait or control.snapshot().owner == "here":
            waited.append(control)
            return await _waited_for(control, result)
        result((await control.wake()).text)
        return 0

    def interrupted() -> None:
        for control in waited:
            exit_code_for(control, f"the wake of {control.citizen}")

    if bool(names) == every:
        raise click.UsageError("name citizens or use --all, not both" if every else "which citizen? Name it")
    return run_verb(names, (), act, wakes=True, interrupted=interrupted, **how)


_CAME_TO_NOTHING: dict[Outcome | None, str] = {Outcome.SKIPPED: "wake skipped", Outcome.REFUSED: "not woken"}


async def _waited_for(control: "LocalControl", result: "ResultPrinter") -> int:
    from scheduler.control.session import wake_and_wait

    ended = await wake_and_wait(control)
    if ended.outcome is Outcome.STOPPED:
        result(f"{control.citizen}: the wake was {ended.text}", outcome=ended.outcome)
        return FAILED
    bad = ended.outcome is not None and ended.outcome.bad
    text = f": {ended.text}" if ended.text else ""
    word = _CAME_TO_NOTHING.get(ended.outcome, "the wake failed" if bad else "woken")
    result(f"{control.citizen}: {word}{text}", outcome=ended.outcome)
    return OK if ended.outcome and ended.outcome.done else FAILED
