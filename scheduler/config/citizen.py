"""Reads what is set for one citizen, wherever it is set, into CitizenSettings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any

from scheduler.config.alerts import alerts
from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.config.env_file import Secrets, parse
from scheduler.config.files import Files, Unusable, scripts
from scheduler.config.llm import llm
from scheduler.config.merge import Layer, lay
from scheduler.config.task import SHORTEST, Place, cron, in_zone, task, zone
from scheduler.config.work import WorkTable, configured
from scheduler.core.schedule import AtStart, Cron
from scheduler.core.task import Alerts, Group, Llm, Retention, Task, WakeConfig
from scheduler.schema.table import At, Problems, Source, key, read
from scheduler.schema.values import group, nested, seconds, whole
from scheduler.system.homes import NAME

BAD_NAME = "is no name; use a-z, 0-9, _ and -, a letter first, at most 32 of them"


@dataclass(frozen=True, slots=True)
class CitizenSettings:
    """One citizen; while it has `problems`, nothing of it may run."""

    name: str
    home: Path
    tasks: tuple[Task, ...] = ()  # in priority order, then by name
    wake: WakeConfig = WakeConfig()  # noqa: RUF009  # frozen
    workers: int = 4
    grace: float = 10.0
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    problems: tuple[str, ...] = ()
    llm: Llm | None = None
    alerts: Alerts | None = None
    history: Retention = Retention()  # noqa: RUF009  # frozen
    socket_group: Group | None = None  # whose members may steer it, too


@dataclass(frozen=True, slots=True)
class CitizenTable:
    """The keys of `[citizens.NAME]`, or of a citizen's own file."""

    wake: Mapping[str, Any] = key(nested)
    tasks: Mapping[str, Any] = key(nested)
    llm: Mapping[str, Any] | None = key(nested)
    alerts: Mapping[str, Any] | None = key(nested)
    history: Mapping[str, Any] = key(nested)
    workers: int = key(whole(1, 256), 4)
    grace: float = key(seconds(), 10.0)
    socket_group: Group | None = key(group)  # noqa: RUF009  # a field, not a shared value


@dataclass(frozen=True, slots=True)
class WakeTable(WorkTable):
    """The keys of `[wake]`."""

    every: float = key(seconds(SHORTEST), 600.0)
    cron: str | None = key(cron)
    timezone: tzinfo | None = key(zone)  # noqa: RUF009  # a field, not a shared value
    patience: float = key(seconds(), 300.0)
    timeout: float = key(seconds(0.001), 3600.0)
    urgent_cooldown: float = key(seconds(), 600.0)


@dataclass(frozen=True, slots=True)
class HistoryTable:
    """The keys of `[history]`."""

    keep: int = key(whole(1, 10_000_000), Retention().runs)
    keep_for: float = key(seconds(SHORTEST), Retention().seconds)


@dataclass(frozen=True, slots=True)
class Sources:
    """What is set for a citizen outside its home, and the environment for its ${NAME}s."""

    main: Mapping[str, Any]
    environment: Mapping[str, Any]
    file: str  # the main one
    environ: Mapping[str, str] = field(repr=False)
    shared: Mapping[str, Any] = field(default_factory=dict)  # tables of the main file that are for everybody


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """A citizen as it was read, which scripts its home has, and which problems are not of its own file."""

    citizen: CitizenSettings
    looked_for: frozenset[str] = frozenset()  # the tasks that may have a script
    scripts: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[str, ...] = ()


def citizen(name: str, home: Path, given: Sources, files: Files) -> LoadedTable:
    """The citizen's settings; if any of them cannot be used, its problems and no tasks."""
    own_file = str(home / "experience.toml")
    try:
        own = files.toml(own_file) or {}
        secrets = _secrets(str(home / ".env"), given.environ, files)
    except Unusable as error:
        return LoadedTable(CitizenSettings(name, home, problems=(str(error),)))
    above = ("citizens", name)
    layers = [(given.shared, Source(given.file)), (given.main, Source(given.file, above))]
    layers += [(own, Source(own_file)), (given.environment, Source("environment", above))]
    return _read(name, home, [layer for layer in layers if layer[0]], secrets, given.file, own_file)


def _read(name: str, home: Path, layers: list[Layer], secrets: Secrets, main: str, own: str) -> LoadedTable:
    raw, where = lay(layers)
    problems = Problems(where)
    table = read(CitizenTable, secrets.fill(raw, (), problems), (), problems)
    wake = _wake(table.wake or {}, str(home), problems)
    model = llm(table.llm, ("llm",), problems)
    told = alerts(table.alerts, ("alerts",), problems)
    kept = read(HistoryTable, table.history or {}, ("history",), problems)
    wanted = dict.fromkeys((*BACKGROUND_TASKS, *(table.tasks or {})))
    place = Place(name, str(home), main, scripts(str(home), wanted))
    tasks = _tasks(wanted, table.tasks or {}, place, problems)
    lines = tuple(line for _, line in problems.found)
    shared = tuple(line for source, line in problems.found if source.file != own)
    found = CitizenSettings(name, home, problems=lines)
    if not lines:
        limits = (table.workers, table.grace)
        found = CitizenSettings(name, home, tasks, wake, *limits, secrets.values, llm=model, alerts=told)
        found = replace(found, history=Retention(kept.keep, kept.keep_for), socket_group=table.socket_group)
    return LoadedTable(found, frozenset(wanted), place.scripts, shared)


def _secrets(file: str, environ: Mapping[str, str], files: Files) -> Secrets:
    content = files.text(file)
    return parse(content, file, environ) if content else Secrets(file, {}, environ)


def _wake(raw: Mapping[str, Any], home: str, problems: Problems) -> WakeConfig:
    at = ("wake",)
    table = read(WakeTable, raw, at, problems)
    work = configured(table, home, at, problems)
    slots = _slots(table, raw, at, problems)
    return WakeConfig(table.every, table.patience, work, table.timeout, table.urgent_cooldown, slots)


def _slots(table: WakeTable, raw: Mapping[str, Any], at: At, problems: Problems) -> Cron | None:
    if "every" in raw and "cron" in raw:
        problems.add(at, "has both every and cron; keep one of them")
    elif "timezone" in raw and "cron" not in raw:
        problems.add((*at, "timezone"), "goes with cron; an interval needs none")
    elif table.cron is not None:
        schedule = in_zone(table.cron, table.timezone, at, problems)
        if isinstance(schedule, AtStart):
            problems.add(
                (*at, "cron"), "@reboot is for tasks; give the wake the five fields of cron, or every"
            )
        return schedule if isinstance(schedule, Cron) else None
    return None


def _tasks(names: Any, tables: Mapping[str, Any], place: Place, problems: Problems) -> tuple[Task, ...]:
    made = []
    for name in names:
        if NAME.fullmatch(name):
            made.append(task(name, tables.get(name, {}), place, problems))
        else:
            problems.add(("tasks", name), BAD_NAME)
    return tuple(sorted((each for each in made if each), key=lambda each: (each.priority, each.name)))
