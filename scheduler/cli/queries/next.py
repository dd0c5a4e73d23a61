"""`experience-tui next`: the next runs of tasks, or the next times of a cron expression."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.options import as_document, config_file, some_citizens
from scheduler.cli.printing import table
from scheduler.cli.queries.idle import print_idle
from scheduler.core.wording.text import clean, freeze_words, until
from scheduler.errors import BadSchedule, SchedulerError

if TYPE_CHECKING:
    from scheduler.core.schedules.schedule import Cron, Schedule
    from scheduler.core.views import Snapshot

WIDEST = 200  # columns


@click.command(
    "next",
    short_help="List what runs next, or the times of a cron expression.",
    epilog='Example: experience-tui next --cron "0 9 * * mon-fri" --timezone Europe/Berlin -n 3',
)
@some_citizens
@click.option("--cron", metavar="EXPR", help="The next times of this expression, instead of the tasks.")
@click.option("--timezone", metavar="ZONE", help="The time zone of EXPR; by default the machine's.")
@click.option("--from", "start", metavar="ISO", help="Times after this; by default now.")
@click.option("-n", "count", default=5, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@as_document
@config_file
def next_command(
    names: tuple[str, ...],
    cron: str | None,
    timezone: str | None,
    start: str | None,
    count: int,
    as_json: bool,
    config: Path | None,
) -> int:
    """List the next runs of citizens (default: all), or the next times of a cron expression."""
    if cron is None:
        if timezone or start:
            raise click.UsageError("--timezone and --from belong to --cron EXPR")
        return _next_tasks(names, count, as_json, config)
    if names:
        raise click.UsageError("--cron EXPR and citizens exclude each other")
    schedule, times = upcoming(cron, timezone, start, count)
    if as_json:
        click.echo(json.dumps([at.isoformat() for at in times], indent=2))
        return 0
    click.echo(f"{schedule.in_english()} ({schedule.zone})")
    click.echo("\n".join(table([_columns(at, "past") for at in times], WIDEST)))
    return 0


def upcoming(cron: str, timezone: str | None, start: str | None, count: int) -> tuple["Cron", list[datetime]]:
    """What the expression means, and its next `count` times in its zone; raises BadSchedule."""
    from scheduler.core.schedules.schedule import NEVER, Cron, local_zone, parse, zone_named
    from scheduler.system.clock import SystemClock

    zone = zone_named(timezone) if timezone else local_zone()
    schedule = parse(cron, zone)
    if not isinstance(schedule, Cron):
        raise SchedulerError(f"{cron!r} is not a cron expression; write five fields, like 0 9 * * mon-fri")
    when = _moment(start, zone) if start else SystemClock.now()
    times: list[datetime] = []
    while len(times) < count and (when := schedule.after(when)) < NEVER:
        times.append(datetime.fromtimestamp(when, schedule.zone))
    return schedule, times


def _moment(text: str, zone: Any) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SchedulerError(f"{text!r} is not an ISO time; write it like 2026-03-29T00:00") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def _next_tasks(citizens: Sequence[str], count: int, as_json: bool, config: Path | None) -> int:
    from scheduler.background import read_citizens
    from scheduler.cli.queries.status import NONE_YET
    from scheduler.system.clock import SystemClock
    from scheduler.system.time_zones import local_zone_name

    found, now = read_citizens(citizens, config), SystemClock.now()
    due = sorted(
        (task.due or now, one.citizen, task.name, _time(task.due or now, one), task.schedule)
        for one in found
        for task in one.tasks
        if task.due is not None and (one.wake.configured or not task.is_wake)
    )[:count]
    if as_json:
        rows = [
            {"citizen": citizen, "task": task, "due": when, "at": at.isoformat(timespec="seconds")}
            for when, citizen, task, at, _ in due
        ]
        click.echo(json.dumps(rows, indent=2))
        return 0
    if not found:
        click.echo(NONE_YET)
    for one in found:
        if one.zone not in ("", local_zone_name()):
            click.echo(f"experience: the times of {one.citizen} are in {clean(one.zone)}, its zone", err=True)
        if one.freeze:
            click.echo(f"experience: {one.citizen} is {clean(freeze_words(one.freeze, now))}", err=True)
    known = _schedules(citizens, config)
    lines = [
        (*_columns(at), clean(f"{citizen}/{task}"), _in_words(schedule, known.get((citizen, task))))
        for _, citizen, task, at, schedule in due
    ]
    if lines:
        click.echo("\n".join(table(lines, WIDEST)))
    print_idle(found)
    return 0


def _columns(at: datetime, past: str = "now") -> tuple[str, str]:
    """When it is, on a clock and from now: the form of every time that this command prints."""
    from scheduler.system.clock import SystemClock

    ahead = at.timestamp() - SystemClock.now()
    return f"{at:%Y-%m-%d %H:%M:%S %Z}", f"in {until(ahead)}" if ahead > 0 else past


def _schedules(citizens: Sequence[str], config: Path | None) -> dict[tuple[str, str], "Schedule"]:
    """The schedules in the settings, by citizen and task: a row has no time zone."""
    from scheduler.config.loader import load

    found = load(config=config, only=citizens).citizens
    return {(one.name, task.name): task.schedule for one in found for task in (one.wake.task, *one.tasks)}


def _in_words(row: str, known: "Schedule | None") -> str:
    """A schedule as a row holds it, in words, with its zone if that is not the machine's."""
    from scheduler.core.schedules.schedule import Cron, Every, parse
    from scheduler.system.time_zones import local_zone_name

    try:
        schedule = known if known is not None and str(known) == row else parse(row, UTC)
    except BadSchedule:
        return clean(row)
    if isinstance(schedule, Cron):
        elsewhere = schedule is known and str(schedule.zone) != local_zone_name()
        return schedule.in_english() + (f" ({schedule.zone})" if elsewhere else "")
    return f"every {row}" if isinstance(schedule, Every) else clean(row)


def _time(when: float, one: "Snapshot") -> datetime:
    """In the zone of its owner; in this machine's if there is none."""
    from scheduler.core.schedules.schedule import zone_named

    try:
        zone = zone_named(one.zone) if one.zone else None
    except BadSchedule:
        zone = None
    return datetime.fromtimestamp(when, UTC).astimezone(zone)
