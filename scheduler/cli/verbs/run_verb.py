"""Runs a verb on tasks or citizens: the same text and exit codes with an owner and without one."""

import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.exit_codes import FAILED, INTERRUPTED, OK
from scheduler.core.task import WAKE
from scheduler.core.views import Receipt
from scheduler.core.wording.text import clean
from scheduler.errors import SchedulerError, UnknownTask

if TYPE_CHECKING:
    from scheduler.control.fleet import Fleet
    from scheduler.control.member import LocalControl


def exit_code_for(control: "LocalControl", what: str) -> None:
    """Print what happens to a run or a wake after ctrl+c."""
    owner = control.snapshot().owner.removeprefix("attached, ")
    if owner == "here":
        click.echo(f"stopping {what}; press ctrl+c again to kill it", err=True)
    else:
        click.echo(f"{what} continues in {owner}", err=True)


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
