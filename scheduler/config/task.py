"""Turns the table of one task into a Task: its schedule, what it runs, its limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

from scheduler.config.alerts import PINGS, secret_address, some_of
from scheduler.config.defaults import BACKGROUND_TASKS, advice
from scheduler.config.work import WorkTable, configured, only_commands, script
from scheduler.core.schedule import Every, Schedule, local_zone, parse, zone_named
from scheduler.core.secrets import holds_sensitive
from scheduler.core.task import Call, NotSetUp, Task, Work
from scheduler.errors import BadSchedule
from scheduler.handlers.registry import BuiltIn, built_in
from scheduler.schema.table import At, Problems, is_table, key, read, readers
from scheduler.schema.values import InvalidValue, flag, reason, seconds, text, whole

SHORTEST = 0.1  # seconds: a shorter interval would only keep the machine busy


def cron(value: Any) -> str:
    """A cron expression or a macro."""
    expression = text(value).strip()
    fields = re.sub(r"^(CRON_)?TZ=\S+", "", expression).split()
    if len(fields) not in (5, 6) and not expression.startswith("@"):
        raise InvalidValue(
            f"{value!r} has not the five fields of cron (or six, seconds first); an interval goes with every"
        )
    if isinstance(_parsed(expression, UTC), Every):
        raise InvalidValue(f"{value!r} is an interval; that goes with every")
    return expression


_parsed = lru_cache(maxsize=1024)(parse)  # a thousand citizens have few different expressions


def zone(value: Any) -> tzinfo:
    return zone_named(text(value))


@dataclass(frozen=True, slots=True)
class TaskTable(WorkTable):
    """The keys of `[tasks.NAME]`."""

    every: float | None = key(seconds(SHORTEST))
    cron: str | None = key(cron)
    timezone: tzinfo | None = key(zone)  # noqa: RUF009  # a field, not a shared value
    timeout: float = key(seconds(0.001), 300.0)
    priority: int = key(whole(-1000, 1000), 50)
    retries: int = key(whole(0, 100), 0)
    retry_delay: float = key(seconds(), 30.0)
    jitter: float = key(seconds(), 0.0)
    catch_up: bool = key(flag, True)
    enabled: bool = key(flag, True)
    input: str | None = key(text)
    description: str = key(text, "")
    ping: str = key(secret_address, "")
    ping_on: frozenset[str] = key(some_of(PINGS), frozenset(("ok", "failed")))


class Place(NamedTuple):
    """Whose task it is, and what the home offers."""

    citizen: str
    home: str
    main: str  # the main settings file, for advice
    scripts: Mapping[str, str]


def task(name: str, raw: Any, place: Place, problems: Problems) -> Task | None:
    """The task of this name; None, and the problems noted, if its settings cannot be used."""
    at, before = ("tasks", name), len(problems.found)
    given = is_table(raw, at, problems)
    if len(problems.found) > before:
        return None
    if not given and (untouched := _untouched(name)):
        return untouched if untouched.set_up else untouched.with_work(_by_name(name, TaskTable(), place))
    ours = None if given.keys() & {"command", "handler"} else built_in(name)
    own = readers(ours.options) if ours else {}
    options = read(ours.options, {k: given[k] for k in own if k in given}, at, problems) if ours else None
    rest = {k: value for k, value in given.items() if k not in own}
    table = read(TaskTable, _defaults(name) | rest, at, problems, own)
    schedule = _schedule(table, given, at, problems)
    work = _work(name, table, given, ours, place, problems)
    if schedule is None or len(problems.found) > before:
        return None
    made = _made(name, schedule, work, table, options)
    hidden = frozenset(k for k, value in given.items() if holds_sensitive(value))
    return replace(made, source=problems.files(at, given), hidden=hidden)


@lru_cache(maxsize=64)
def _untouched(name: str) -> Task | None:
    """A built-in task of which nothing is set: the same for every citizen, but for the script it may find."""
    if name not in BACKGROUND_TASKS:
        return None
    every, table = Every(BACKGROUND_TASKS[name]["interval"]), TaskTable(**_defaults(name))
    ours = built_in(name)
    if ours is None or ours.needs:
        return _made(name, every, NotSetUp("command"), table, ours.options() if ours else None)
    return _made(name, every, Call(ours.function), table, ours.options())


def _made(name: str, schedule: Schedule, work: Work, table: TaskTable, options: Any) -> Task:
    limits = {k: getattr(table, k) for k in _LIMITS}
    return Task(name, schedule, work, options=options, **limits)


_LIMITS = (
    "timeout",
    "priority",
    "retries",
    "retry_delay",
    "jitter",
    "catch_up",
    "enabled",
    "description",
    "ping",
    "ping_on",
)


def _defaults(name: str) -> dict[str, Any]:
    entry = BACKGROUND_TASKS.get(name, {})
    renamed = {"max_runtime": "timeout"}
    return {renamed.get(k, k): value for k, value in entry.items() if k != "interval"}


def _schedule(table: TaskTable, given: Mapping[str, Any], at: At, problems: Problems) -> Schedule | None:
    if "every" in given and "cron" in given:
        problems.add(at, "has both every and cron; keep one of them")
    elif "timezone" in given and "cron" not in given:
        problems.add((*at, "timezone"), "goes with cron; an interval needs none")
    elif table.cron is not None:
        return in_zone(table.cron, table.timezone, at, problems)
    elif interval := table.every or BACKGROUND_TASKS.get(at[-1], {}).get("interval"):
        return Every(interval)
    elif "every" not in given and "cron" not in given:
        problems.add(at, 'has no schedule; add every = "1h" or cron = "0 9 * * *"')
    return None


def in_zone(expression: str, timezone: tzinfo | None, at: At, problems: Problems) -> Schedule | None:
    """The schedule of a `cron` key; None, and the problem noted, if it cannot be used."""
    try:
        return _parsed(expression, timezone or local_zone())
    except BadSchedule as error:  # the machine's own zone is in a muddle
        problems.add((*at, "cron"), reason(expression, error))
        return None


def _work(
    name: str,
    table: TaskTable,
    given: Mapping[str, Any],
    ours: BuiltIn | None,
    place: Place,
    problems: Problems,
) -> Work:
    at = ("tasks", name)
    if work := configured(table, place.home, at, problems):
        return work
    if ours is not None and not ours.lacks(given):
        only_commands(table, at, problems)
        if table.isolated:
            problems.add((*at, "isolated"), "goes with a handler of your own; remove it from a built-in task")
        return Call(ours.function)
    return _by_name(name, table, place, given)


def _by_name(name: str, table: TaskTable, place: Place, given: Mapping[str, Any] | None = None) -> Work:
    """The script of the task's name; else what is missing, with the lines to add."""
    if name in place.scripts:
        return script(table, place.scripts[name])
    ours = built_in(name)
    if ours is not None and (missing := ours.lacks(given or ())):
        where = f"# in {place.main}\n[citizens.{place.citizen}.tasks.{name}]\n"
        return NotSetUp(missing.replace("|", " or "), where + ours.lines.strip())
    return NotSetUp("command", advice(place.citizen, name, place.main))
