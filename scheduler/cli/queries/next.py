"""`experience-tui next`: the next runs of tasks, or the next times of a cron expression."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

import click

from scheduler import background
from scheduler.cli.options import as_document, config_file, some_citizens
from scheduler.cli.printing import table
from scheduler.cli.queries.idle import print_idle
from scheduler.cli.standard_error import print_problems
from scheduler.config.loader import load
from scheduler.core.schedules.schedule import NEVER, Cron, Every, local_zone, parse, zone_named
from scheduler.core.task import Task
from scheduler.core.views import Snapshot
from scheduler.core.wording.text import clean, freeze_words, until
from scheduler.errors import NO_CITIZENS, BadSchedule, SchedulerError
from scheduler.system.clock import SystemClock
from scheduler.system.time_zones import local_zone_name

WIDEST = 200  # columns
COUNT = 5  # runs, by default
DAY, HOUR = 86400.0, 3600.0  # seconds

Known = Mapping[tuple[str, str], Task]  # by citizen and task


class Run(NamedTuple):
    """A future run; `schedule` as in its row, `zone` its owner's, None for this machine's."""

    when: float
    citizen: str
    task: str
    schedule: str
    zone: tzinfo | None

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.when, UTC).astimezone(self.zone)

    @property
    def about(self) -> str:
        return clean(f"{self.citizen}/{self.task}")


@click.command(
    "next",
    short_help="List what runs next, or the times of a cron expression.",
    epilog='Example: experience-tui next --cron "0 9 * * mon-fri" --timezone Europe/Berlin -n 3',
)
@some_citizens
@click.option("--cron", metavar="EXPR", help="The next times of this expression, instead of the tasks.")
@click.option("--timezone", metavar="ZONE", help="The time zone of EXPR; by default the machine's.")
@click.option("--from", "start", metavar="ISO", help="Times after this; by default now.")
@click.option("-n", "count", type=click.IntRange(1, 1000), help="How many; by default 5.")
@click.option("--days", metavar="N", type=click.IntRange(1, 366), help="All runs of the next N days.")
@as_document
@config_file
def next_command(
    names: tuple[str, ...],
    cron: str | None,
    timezone: str | None,
    start: str | None,
    count: int | None,
    days: int | None,
    as_json: bool,
    config: Path | None,
) -> int:
    """List the next runs of citizens (default: all), or the next times of a cron expression."""
    if cron is None:
        if timezone or start:
            raise click.UsageError("--timezone and --from belong to --cron EXPR")
        if days and count:
            raise click.UsageError("--days N and -n exclude each other")
        return _next_tasks(names, count or COUNT, days, as_json, config)
    if names or days:
        raise click.UsageError(f"--cron EXPR and {'--days N' if days else 'citizens'} exclude each other")
    schedule, times = upcoming(cron, timezone, start, count or COUNT)
    if as_json:
        click.echo(json.dumps([at.isoformat() for at in times], indent=2))
        return 0
    click.echo(f"{schedule.in_english()} ({schedule.zone})")
    click.echo("\n".join(table([_columns(at, "past") for at in times], WIDEST)))
    return 0


def upcoming(cron: str, timezone: str | None, start: str | None, count: int) -> tuple[Cron, list[datetime]]:
    """What the expression means, and its next `count` times in its zone; raises BadSchedule."""
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


def _next_tasks(
    citizens: Sequence[str], count: int, days: int | None, as_json: bool, config: Path | None
) -> int:
    found, known = background.read_citizens(citizens, config), _known(citizens, config)
    now = SystemClock.now()
    wrong = print_problems(found)
    firsts = sorted(_firsts(found, now))
    often = [one for one in firsts if days and not as_json and _often(one, known)]
    runs = _until(now + days * DAY, firsts, often, known) if days else firsts[:count]
    if as_json:
        click.echo(json.dumps([_document(run) for run in runs], indent=2))
        return wrong
    if not found:
        click.echo(NO_CITIZENS)
    _print_zones_and_freezes(found, now)
    lines = [(*_columns(run.at, day="%a " if days else ""), run.about, _in_words(run, known)) for run in runs]
    if lines:
        click.echo("\n".join(table(lines, WIDEST)))
    if often:
        listed = (f"{one.about} ({_in_words(one, known)})" for one in often)
        click.echo(f"hourly or more often: {', '.join(listed)}")
    print_idle(found)
    return wrong


def _firsts(found: Sequence[Snapshot], now: float) -> Iterator[Run]:
    for one in found:
        for task in one.tasks:
            if task.due is not None and (one.wake.configured or not task.is_wake):
                yield Run(task.due or now, one.citizen, task.name, task.schedule, _zone(one))


def _until(end: float, firsts: Sequence[Run], often: Sequence[Run], known: Known) -> list[Run]:
    """All runs before `end`, except for tasks in `often`."""
    listed = (one for one in firsts if one.when < end and one not in often)
    return sorted(run for one in listed for run in (one, *_after(one, end, known)))


def _after(first: Run, end: float, known: Known) -> Iterator[Run]:
    """The runs after it, if each starts on time; none if the settings have another schedule than the row."""
    from scheduler.core.schedules.forecast import TimeGrid, slots
    from scheduler.core.state import TaskState

    task = known.get((first.citizen, first.task))
    if task is None or str(task.schedule) != first.schedule:
        return
    ran = TaskState(last_run=first.when)
    grid = TimeGrid(first.when, 1.0, int(end - first.when))
    for when in slots(first.citizen, task, ran, first.when, first.when, grid):
        yield first._replace(when=when)


def _often(first: Run, known: Known) -> bool:
    """Whether four more runs follow within four hours: such a task would fill a list over days."""
    return len(list(_after(first, first.when + 4 * HOUR + 1, known))) >= 4


def _document(run: Run) -> dict[str, object]:
    at = run.at.isoformat(timespec="seconds")
    return {"citizen": run.citizen, "task": run.task, "due": run.when, "at": at}


def _print_zones_and_freezes(found: Sequence[Snapshot], now: float) -> None:
    for one in found:
        if one.zone not in ("", local_zone_name()):
            click.echo(f"experience: the times of {one.citizen} are in {clean(one.zone)}, its zone", err=True)
        if one.freeze:
            click.echo(f"experience: {one.citizen} is {clean(freeze_words(one.freeze, now))}", err=True)


def _columns(at: datetime, past: str = "now", day: str = "") -> tuple[str, str]:
    """The time on a clock, and from now: the form in which this command prints every time."""
    ahead = at.timestamp() - SystemClock.now()
    return f"{at:{day}%Y-%m-%d %H:%M:%S %Z}", f"in {until(ahead)}" if ahead > 0 else past


def _known(citizens: Sequence[str], config: Path | None) -> Known:
    """The tasks in the settings, which know their time zones; rows do not."""
    found = load(config=config, only=citizens).citizens
    return {(one.name, task.name): task for one in found for task in (one.wake, *one.tasks)}


def _in_words(run: Run, known: Known) -> str:
    """The schedule in words, with its zone if that is not the machine's."""
    task, row = known.get((run.citizen, run.task)), run.schedule
    same = task is not None and str(task.schedule) == row
    try:
        schedule = task.schedule if task and same else parse(row, UTC)
    except BadSchedule:
        return clean(row)
    if isinstance(schedule, Cron):
        elsewhere = same and str(schedule.zone) != local_zone_name()
        return schedule.in_english() + (f" ({schedule.zone})" if elsewhere else "")
    return f"every {row}" if isinstance(schedule, Every) else clean(row)


def _zone(one: Snapshot) -> tzinfo | None:
    """The owner's zone; None, which means this machine's, if it is unknown."""
    try:
        return zone_named(one.zone) if one.zone else None
    except BadSchedule:
        return None
