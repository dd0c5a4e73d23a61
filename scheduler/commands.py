"""The verbs of experience-tui: the same words and exit codes through an owner and without one."""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .errors import SchedulerError

if TYPE_CHECKING:
    from .members import Followed

FAILED = 1

_config = click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The settings file."
)
_json = click.option("--json", "as_json", is_flag=True, help="For scripts.")
_as_root = click.option("--own-as-root", is_flag=True, help="As root, act also for other users' homes.")
_wait = click.option("--wait", is_flag=True, help="Wait for the run; exit code 1 if it failed.")
_again = click.option("--again", is_flag=True, help="If it is running, run it once more after that.")


@click.command("force", epilog="Example: experience-tui force opus news_scan --wait")
@click.argument("citizen")
@click.argument("task")
@_wait
@_again
@_json
@_config
@_as_root
def force_command(
    citizen: str, task: str, wait: bool, again: bool, as_json: bool, config: Path | None, own_as_root: bool
) -> int:
    """Run a task now, whatever its schedule says. Where nobody owns the citizen, this waits for it."""
    from .model import Kind
    from .steering import force_and_wait, outcome_of

    async def forced(control: "Followed") -> int:
        if not wait and control.snapshot().owner != "here":
            return _said((await control.force(task, again=again)).text, as_json)
        row = await force_and_wait(control, task, again=again)
        _said(outcome_of(row), as_json, outcome=str(Kind.FAILED if row.error else row.kind))
        return FAILED if row.error else 0

    return _steer(citizen, config, own_as_root, forced)


def _verb(name: str, help: str) -> click.Command:
    """A verb for tasks of one citizen."""

    @click.command(name, help=help, epilog=f"Example: experience-tui {name} opus news_scan")
    @click.argument("citizen")
    @click.argument("tasks", nargs=-1, metavar="TASK...", required=True)
    @_json
    @_config
    @_as_root
    def command(
        citizen: str, tasks: tuple[str, ...], as_json: bool, config: Path | None, own_as_root: bool
    ) -> int:
        async def each(control: "Followed") -> int:
            for task in tasks:
                receipt = await getattr(control, name)(task)
                _said(receipt.text, as_json, saved=receipt.saved)
            return 0

        return _steer(citizen, config, own_as_root, each)

    return command


reset_command = _verb("reset", "Forget the last run and the last error: due at the next check.")
pause_command = _verb("pause", "Not by schedule any more, until resumed; force still works.")
resume_command = _verb("resume", "By schedule again.")


@click.command("wake", epilog="Example: experience-tui wake opus")
@click.argument("citizen")
@_config
@_as_root
def wake_command(citizen: str, config: Path | None, own_as_root: bool) -> int:
    """Wake a citizen now: through its owner; without one, a whole wake here."""
    from .background import look

    if look(citizen, config).owner:
        return _steer(citizen, config, own_as_root, _wake)
    from .headless import run_once

    return run_once(citizen, config=config, own_as_root=own_as_root)


async def _wake(control: "Followed") -> int:
    return _said((await control.wake()).text, False)


@click.command(
    "next", epilog='Example: experience-tui next --cron "0 9 * * mon-fri" --timezone Europe/Berlin'
)
@click.argument("citizens", nargs=-1, metavar="[CITIZEN]...")
@click.option("--cron", metavar="EXPR", help="What an expression means, instead of what citizens do next.")
@click.option("--timezone", metavar="ZONE", help="Its time zone; by default the machine's.")
@click.option("--from", "start", metavar="ISO", help="From when on; by default now.")
@click.option("-n", "count", default=5, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@_json
@_config
def next_command(
    citizens: tuple[str, ...],
    cron: str | None,
    timezone: str | None,
    start: str | None,
    count: int,
    as_json: bool,
    config: Path | None,
) -> int:
    """When tasks run next, or when a cron expression would."""
    if cron is None:
        return _next_tasks(citizens, count, as_json, config)
    times = upcoming(cron, timezone, start, count)
    _lines(times, as_json)
    return 0


def upcoming(cron: str, timezone: str | None, start: str | None, count: int) -> list[str]:
    """The next `count` times of an expression, ISO in its zone; raises BadSchedule."""
    from .clock import SystemClock
    from .schedule import NEVER, Cron, local_zone, parse, zone_named

    zone = zone_named(timezone) if timezone else local_zone()
    schedule = parse(cron, zone)
    if not isinstance(schedule, Cron):
        raise SchedulerError(f"{cron!r} is no cron expression; write five fields, like 0 9 * * mon-fri")
    when = _moment(start, zone) if start else SystemClock.now()
    times: list[str] = []
    while len(times) < count and (when := schedule.after(when)) < NEVER:
        times.append(datetime.fromtimestamp(when, schedule.zone).isoformat())
    return times


def _moment(text: str, zone: Any) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SchedulerError(f"{text!r} is no ISO time; write it like 2026-03-29T00:00") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def _next_tasks(citizens: Sequence[str], count: int, as_json: bool, config: Path | None) -> int:
    from .background import looks

    due = sorted(
        (task.due, f"{one.citizen}/{task.name}")
        for one in looks(citizens, config)
        for task in one.tasks
        if task.due is not None
    )[:count]
    if as_json:
        click.echo(json.dumps([{"task": name, "due": when} for when, name in due], indent=2))
        return 0
    for when, name in due:
        local = datetime.fromtimestamp(when, UTC).astimezone()
        click.echo(f"{local:%Y-%m-%d %H:%M:%S}  {name}")
    return 0


def _lines(lines: Sequence[str], as_json: bool) -> None:
    click.echo(json.dumps(list(lines), indent=2) if as_json else "\n".join(lines))


def _said(text: str, as_json: bool, **more: Any) -> int:
    from .status import clean

    click.echo(json.dumps({"text": text, **more}) if as_json else clean(text))
    return 0


def _steer(
    citizen: str, config: Path | None, as_root: bool, action: Callable[["Followed"], Awaitable[int]]
) -> int:
    from asyncio import run

    from .steering import steering

    async def acted() -> int:
        async with steering(citizen, config, as_root=as_root) as control:
            return await action(control)

    return run(acted())
