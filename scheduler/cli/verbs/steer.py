"""The verbs for tasks and citizens: the same text and exit codes with an owner and without one."""

import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.exit_codes import FAILED, INTERRUPTED, OK
from scheduler.cli.options import (
    GRAMMAR,
    action_options,
    citizens_and_tasks,
    every_citizen,
    some_citizens,
    tasks_argument,
)
from scheduler.core.task import WAKE, Outcome
from scheduler.core.views import Receipt
from scheduler.core.wording.text import clean
from scheduler.errors import SchedulerError, UnknownTask

if TYPE_CHECKING:
    from scheduler.control.fleet import Fleet
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


def exit_code_for(control: "LocalControl", what: str) -> None:
    """Print what happens to a run or a wake after ctrl+c."""
    owner = control.snapshot().owner.removeprefix("attached, ")
    if owner == "here":
        click.echo(f"stopping {what}; press ctrl+c again to kill it", err=True)
    else:
        click.echo(f"{what} continues in {owner}", err=True)


# ------------------------------------------------------------------ several at once


class ResultPrinter:
    """Prints the result for one task of one citizen: a line for people, or an object for scripts."""

    def __init__(self, citizen: str, task: str, *, as_json: bool, alone: bool) -> None:
        self.citizen, self.task, self.as_json = citizen, task, as_json
        self.alone = alone
        self.prefix = "" if alone or not task else f"{citizen}/"

    def of(self, task: str) -> "ResultPrinter":
        """A printer for this task of the same citizen."""
        return ResultPrinter(self.citizen, task, as_json=self.as_json, alone=self.alone)

    def __call__(self, text: str, **more: Any) -> None:
        click.echo(self._object(text=text, **more) if self.as_json else clean(f"{self.prefix}{text}"))

    def receipt(self, receipt: Receipt, control: "LocalControl") -> int:
        """Print what was done; return the exit code, which is FAILED if it ends with this process."""
        self(receipt.text, saved=receipt.saved)
        state = control.snapshot()
        if receipt.saved or state.owner != "here" or not state.unsaved:
            return OK
        lost = f"{self.citizen}: it is lost, since no other process runs {self.citizen}"
        click.echo(clean(f"experience: {lost}; make room on its disk, or its home writable"), err=True)
        return FAILED

    def refused(self, error: SchedulerError) -> int:
        """Print why it was refused; return the exit code."""
        if self.as_json:
            click.echo(self._object(error=str(error), code=error.code))
            return error.exit_code
        where = f"{self.citizen}: " if self.prefix and not str(error).startswith(self.citizen) else ""
        for line in str(error).splitlines():
            click.echo(clean(f"experience: {where}{line}"), err=True)
        return error.exit_code

    def _object(self, **more: Any) -> str:
        task = {"task": self.task} if self.task else {}
        return json.dumps({"citizen": self.citizen, **task, **more})


Act = Callable[["LocalControl", ResultPrinter], Awaitable[int]]


def run_verb(
    citizens: Collection[str],
    tasks: Sequence[str],
    act: Act,
    *,
    config: Path | None,
    as_root: bool,
    as_json: bool,
    wakes: bool = False,
    interrupted: Callable[[], object] = lambda: None,
) -> int:
    """Act on each task of each citizen (all, if none is named) at once; return the worst exit code."""
    from asyncio import CancelledError, gather, run

    from scheduler.control.session import fleet_of

    async def acted() -> int:
        awake = wakes or WAKE in tasks
        at = fleet_of(citizens, config, as_root=as_root, wakes=awake, interrupted=interrupted)
        async with at as fleet:
            wanted = _wanted(fleet, citizens, tasks)
            alone = len({citizen for citizen, _ in wanted}) == 1
            results = [ResultPrinter(citizen, task, as_json=as_json, alone=alone) for citizen, task in wanted]
            return max(await gather(*(_one(fleet, each, act) for each in results)), default=0)

    try:
        return run(acted())
    except CancelledError:
        return INTERRUPTED


def _wanted(fleet: "Fleet", citizens: Collection[str], tasks: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of citizen and task; without names, all citizens that have the task or cannot be read."""
    if citizens or not tasks:
        return [(name, task) for name in citizens or sorted(fleet.members) for task in tasks or ("",)]
    snapshots = {name: fleet.members[name].control.snapshot() for name in fleet.members}
    rows = {
        name: {*(row.name for row in one.tasks), *([WAKE] if one.tasks else [])}
        for name, one in snapshots.items()
    }
    known = set().union(*rows.values())
    for task in tasks:
        if task not in known:
            raise UnknownTask(task, known)
    return [(name, task) for name in sorted(rows) for task in tasks if task in rows[name] or not rows[name]]


async def _one(fleet: "Fleet", result: ResultPrinter, act: Act) -> int:
    from scheduler.control.session import control_of

    try:
        return await act(control_of(fleet.members[result.citizen]), result)
    except SchedulerError as error:
        return result.refused(error)
