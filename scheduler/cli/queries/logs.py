"""`experience-tui logs`: what a task printed, and what it prints."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scheduler.cli.exit_codes import OK, WRONG
from scheduler.cli.options import config_file, one_task_argument
from scheduler.cli.printing import Printout, readable
from scheduler.cli.queries.idle import print_idle
from scheduler.config.loader import load
from scheduler.config.settings import CitizenSettings
from scheduler.core.records import MOST_LISTED, RunRecord, last_begun
from scheduler.core.views import Snapshot, TaskView
from scheduler.core.wording.spans import date_and_time, took
from scheduler.core.wording.text import clean
from scheduler.errors import PROGRAM, BadSettings, Owned, UnknownTask, Unreadable
from scheduler.storage.state_file import StateFile
from scheduler.system.clock import SystemClock

if TYPE_CHECKING:
    from scheduler.control.member import LocalControl

FIRST_PRINTS = 0.5  # seconds within which an owner sends what a run has printed so far


@click.command(
    "logs",
    short_help="Print what a task printed; -f follows it.",
    epilog="Example: experience-tui logs opus report -f",
)
@one_task_argument
@click.option("-f", "--follow", "following", is_flag=True, help="Keep printing, run after run.")
@config_file
def logs_command(citizen: str, task: str, following: bool, config: Path | None) -> int:
    """Print the output of a task's last run, or of its current run so far.

    Standard error says which run it is.
    """
    settings = load(config=config, only=(citizen,)).named(citizen)
    try:
        return asyncio.run(_logs(settings, task, following))
    except (UnknownTask, Unreadable):
        if settings.problems:
            raise BadSettings(settings.problems) from None
        raise


async def _logs(settings: CitizenSettings, task: str, following: bool) -> int:
    from scheduler.control.member import attached
    from scheduler.control.offline import OfflineControl

    clock = SystemClock()
    reason = Owned(f"no process runs {settings.name}: {PROGRAM} up {settings.name}")
    member = await attached(settings, reason, clock)
    logs = _Logs(member.control, task)
    try:
        offline = isinstance(member.control, OfflineControl)
        if following and not offline:
            await logs.follow()
        else:
            await logs.print_newest()
        if offline:
            StateFile(settings.home).peek()  # unreadable is an error, even if the history is not
        if offline and following:
            print_idle([member.control.snapshot()])
            return WRONG
        return OK
    finally:
        await member.end()
        clock.close()


class _Logs:
    """The runs of one task, printed in order, each once."""

    def __init__(self, control: "LocalControl", task: str) -> None:
        self._control, self._task = control, task
        self._shown = 0.0  # the start of the newest printed run

    async def print_newest(self) -> None:
        """Print the output so far of the current run; if none is under way, the last run."""
        newest = await self._newest()
        if await self._print_running(FIRST_PRINTS):
            return
        if newest is None:
            click.echo(clean(f"{self._task} has not run yet"), err=True)
        else:
            await self._print(newest)

    async def follow(self) -> None:
        """Print the last run, then every later one, until interrupted."""
        if newest := await self._newest():
            row = self._row(self._control.snapshot())
            if row is None or row.running_since is None:
                await self._print(newest)
            self._shown = newest.started
        runs = -1
        async for snapshot in self._control.watch():
            if snapshot.stale:
                raise Owned(f"{snapshot.citizen}: {snapshot.stale}")
            row = self._row(snapshot)
            if row is not None and row.running_since is not None:
                await self._print_running(None)
            elif row is not None and row.run_count != runs:  # a run too short to be noticed
                runs = row.run_count
                newest = await self._newest()
                if newest and newest.started > self._shown:
                    await self._print(newest)

    async def _newest(self) -> RunRecord | None:
        """The last run that began, without skipped times; raises UnknownTask."""
        return last_begun(await self._control.history(self._task, limit=MOST_LISTED))

    def _row(self, snapshot: Snapshot) -> TaskView | None:
        return next((row for row in snapshot.tasks if row.name == self._task), None)

    async def _print_running(self, seconds: float | None) -> bool:
        """Print the current run until it ends, or for so many seconds; False if none is under way."""
        row = self._row(self._control.snapshot())
        if row is None or row.running_since is None or row.running_since <= self._shown:
            return False
        self._shown = row.running_since
        click.echo(clean(f"{self._task}: running since {date_and_time(row.running_since)}"), err=True)
        printout = Printout()
        try:
            async with asyncio.timeout(seconds), aclosing(self._control.follow(self._task)) as chunks:
                async for chunk in chunks:
                    click.echo(printout.add(chunk), nl=False)
        except TimeoutError:
            pass
        click.echo(printout.end(), nl=False)
        return True

    async def _print(self, run: RunRecord) -> None:
        self._shown = max(self._shown, run.started)
        what = f"run {run.id} of {date_and_time(run.started)}, {run.outcome} in {took(run.seconds)}"
        click.echo(clean(f"{self._task}: {what}"), err=True)
        text = await self._control.output(run.id) if run.printed else run.text
        if text:
            click.echo("".join(readable(text)), nl=not text.endswith("\n"))
