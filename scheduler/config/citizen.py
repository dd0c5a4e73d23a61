"""Reads what is set for one citizen, wherever it is set, into CitizenSettings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.config.environment import Secrets, parse
from scheduler.config.files import Files, Unusable, scripts
from scheduler.config.merge import merge
from scheduler.config.sections import SHORTEST, AlertsTable, HistoryTable, LlmTable, alerts, llm
from scheduler.config.settings import CitizenSettings
from scheduler.config.task import Place, TaskTable, Times, configured, in_zone, task
from scheduler.core.schedule import AtStart, Cron
from scheduler.core.task import Group, Retention, Task, WakeConfig
from scheduler.handlers.registry import BUILT_IN, built_in
from scheduler.schema.table import At, Problems, Source, Table, a_table, read, table_of
from scheduler.schema.values import Reader, group, seconds, whole
from scheduler.system.homes import NAME

BAD_NAME = "is no name; use a-z, 0-9, _ and -, a letter first, at most 32 of them"


class WakeTable(Times):
    """The keys of `[wake]`."""

    every: Annotated[float, seconds(SHORTEST)] = Field(600.0, description="The time from wake to wake.")
    patience: Annotated[float, seconds()] = Field(
        300.0, description="How long a wake waits for the tasks that are due."
    )
    timeout: Annotated[float, seconds(0.001)] = Field(3600.0, description="How long the turn may take.")
    urgent_cooldown: Annotated[float, seconds()] = Field(
        600.0, description="An urgent result wakes at most once in this time."
    )


def _tasks_schema(handler: Any) -> dict[str, Any]:
    """The keys of each built-in task, and those that any other task may have."""

    def shape(name: str) -> Any:
        known = built_in(name)
        assert known is not None
        both = type(name, (known.options, TaskTable), {"__doc__": f"The keys of `[tasks.{name}]`."})
        return table_of(both).__get_pydantic_json_schema__(None, handler)

    others = table_of(TaskTable).__get_pydantic_json_schema__(None, handler)
    return {
        "type": "object",
        "properties": {name: shape(name) for name in BUILT_IN},
        "additionalProperties": others,
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
    }


class CitizenTable(Table):
    """The keys of `[citizens.NAME]`, or of a citizen's own file."""

    workers: Annotated[int, whole(1, 256)] = Field(4, description="How many of its tasks run at once.")
    grace: Annotated[float, seconds()] = Field(
        10.0, description="What running tasks get when the scheduler ends."
    )
    socket_group: Annotated[Group | None, group] = Field(
        None, description="A group of users of this machine, whose members may attach."
    )
    wake: Annotated[Mapping[str, Any] | None, table_of(WakeTable)] = None
    llm: Annotated[Mapping[str, Any] | None, table_of(LlmTable)] = None
    alerts: Annotated[Mapping[str, Any] | None, table_of(AlertsTable)] = None
    history: Annotated[Mapping[str, Any] | None, table_of(HistoryTable)] = None
    tasks: Annotated[Mapping[str, Any] | None, Reader(a_table, _tasks_schema)] = Field(
        None, description="The tasks, by name."
    )


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
    shared: tuple[tuple[Source, str], ...] = ()


def citizen(name: str, home: Path, given: Sources, files: Files) -> LoadedTable:
    """The citizen's settings; if any of them cannot be used, its problems and no tasks."""
    own_file = str(home / "experience.toml")
    try:
        own = files.toml(own_file) or {}
        secrets = _secrets(str(home / ".env"), given.environ, files)
    except Unusable as error:
        return LoadedTable(CitizenSettings(name, home, problems=(str(error),)))
    above = ("citizens", name)
    layers = [(given.environment, Source("environment", above)), (own, Source(own_file))]
    layers += [(given.main, Source(given.file, above)), (given.shared, Source(given.file))]
    return _read(name, home, layers, secrets, given.file, own_file)


def _read(
    name: str,
    home: Path,
    layers: Iterable[tuple[Mapping[str, Any], Source]],
    secrets: Secrets,
    main: str,
    own: str,
) -> LoadedTable:
    raw, where = merge(layers)
    problems = Problems(where)
    table = read(CitizenTable, secrets.fill(raw, (), problems), (), problems)
    wake = _wake(table.wake or {}, str(home), problems)
    model = llm(table.llm, ("llm",), problems)
    told = alerts(table.alerts, ("alerts",), problems)
    kept = read(HistoryTable, table.history or {}, ("history",), problems)
    wanted = dict.fromkeys((*BACKGROUND_TASKS, *(table.tasks or {})))
    place = Place(name, str(home), main, scripts(str(home), wanted))
    tasks = _tasks(wanted, table.tasks or {}, place, problems)
    lines = tuple(problems.lines)
    shared = tuple((source, line) for source, line in problems.found if source.file != own)
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
