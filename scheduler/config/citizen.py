"""Reads the settings of one citizen from every source into CitizenSettings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Any

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.config.environment import parse
from scheduler.config.files import Files, Unusable, scripts
from scheduler.config.merge import merge
from scheduler.config.sections.engine import machines_of
from scheduler.config.sections.refusals import Refusals, refusals
from scheduler.config.sections.services import AlertsTable, HistoryTable, LlmTable, alerts, llm
from scheduler.config.sections.spending import BudgetTable, PricesTable, budget, prices
from scheduler.config.sections.wake import WakeTable, wake_of
from scheduler.config.settings import CitizenSettings
from scheduler.config.task import Place, TaskTable, task
from scheduler.config.times import zone
from scheduler.core.costs import Budget, SpendingRules
from scheduler.core.secrets import Masks
from scheduler.core.task import WAKE, Group, Retention, Task
from scheduler.handlers.registry import BUILT_IN, built_in
from scheduler.schema.table import Nested, Problems, Source, Table, a_table, key, read, table_of
from scheduler.schema.values import InvalidValue, Reader, group, integer, reads, seconds, type_name
from scheduler.system.homes import NAME

NOT_A_TASK = "is the name of the citizen's turn; set that with [wake], or give the task another name"
BAD_NAME = "is not a valid name: use a-z, 0-9, _ and -, starting with a letter, at most 32 characters"


@reads(anyOf=[{"type": "boolean"}, {"type": "array", "items": {"enum": list(BACKGROUND_TASKS)}}])
def built_in_tasks(value: Any) -> frozenset[str] | None:
    """The built-in tasks that a citizen has; None for all of them."""
    if isinstance(value, list):
        for each in value:
            if each not in BACKGROUND_TASKS:
                raise InvalidValue(f"{each!r} is none of: {', '.join(BACKGROUND_TASKS)}")
        return frozenset(value)
    if not isinstance(value, bool):
        raise InvalidValue(f'is {type_name(value)}; write true, false, or a list like ["heartbeat"]')
    return None if value else frozenset()


@built_in_tasks.variant
def built_in_as_written(value: Any) -> Any:
    """The value as written, checked, for a table that is merged with others before it is read."""
    built_in_tasks(value)
    return value


ZONE_KEY = key(None, "The zone of its times, and in which days and months of spending end.")
BUILT_IN_KEY = key(None, 'Which built-in tasks there are: false, true, or a list like ["heartbeat"].')


def _tasks_schema(handler: Any) -> dict[str, Any]:
    """The schemas of each built-in task, and of any other task."""

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
        "propertyNames": {"pattern": f"^(?!{WAKE}$){NAME.pattern}$"},
    }


class CitizenTable(Table):
    """The keys of `[citizens.NAME]`, or of a citizen's own file."""

    workers: Annotated[int, integer(1, 256)] = key(4, "How many of its tasks run at once.")
    grace: Annotated[float, seconds()] = key(10.0, "What running tasks get when the scheduler ends.")
    socket_group: Annotated[Group | None, group] = key(None, "The Unix group that may attach.")
    timezone: Annotated[tzinfo | None, zone] = ZONE_KEY
    wake: Annotated[Nested, table_of(WakeTable)] = None
    llm: Annotated[Nested, table_of(LlmTable)] = None
    alerts: Annotated[Nested, table_of(AlertsTable)] = None
    history: Annotated[Nested, table_of(HistoryTable)] = None
    budget: Annotated[Nested, table_of(BudgetTable)] = None
    refusals: Refusals = key(None, "Words in which a provider refuses.")
    prices: PricesTable = key(None, "What tokens cost, by the name of a model.")
    machines: Annotated[tuple[str, ...], machines_of] = key(
        (), "The machines where it may run, in this order."
    )
    builtin: Annotated[frozenset[str] | None, built_in_tasks] = BUILT_IN_KEY
    tasks: Annotated[Nested, Reader(a_table, _tasks_schema)] = key(None, "The tasks, by name.")


@dataclass(frozen=True, slots=True)
class Sources:
    """Settings of a citizen from outside its home, and the environment for its ${NAME}s."""

    main: Mapping[str, Any]
    environment: Mapping[str, Any]
    file: str  # the main file
    environ: Mapping[str, str] = field(repr=False)
    shared: Mapping[str, Any] = field(
        default_factory=dict
    )  # tables of the main file that apply to all citizens
    together: Budget = Budget()  # noqa: RUF009  # frozen
    engine: bool = False


@dataclass(frozen=True, slots=True)
class LoadedCitizen:
    """A citizen's settings, the scripts in its home, and the problems found in other files."""

    citizen: CitizenSettings
    looked_for: frozenset[str] = frozenset()  # tasks that may have a script
    scripts: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[tuple[Source, str], ...] = ()


def citizen(name: str, home: Path, given: Sources, files: Files) -> LoadedCitizen:
    """The citizen's settings; if any of them cannot be used, only the problems, and no tasks."""
    own_file = str(home / "experience.toml")
    try:
        written = files.toml(own_file)
        secrets = parse(files.text(str(home / ".env")) or "", str(home / ".env"), given.environ)
        files.given[secrets.file] = frozenset(secrets.values)
    except Unusable as error:
        return LoadedCitizen(CitizenSettings(name, home, problems=(str(error),)))
    above = ("citizens", name)
    layers = [(given.environment, Source("environment", above)), (written or {}, Source(own_file))]
    layers += [(given.main, Source(given.file, above)), (given.shared, Source(given.file))]
    raw, where = merge(layers)
    hidden = secrets.used(raw)
    problems = Problems(where, Masks(hidden).hide)
    table = read(CitizenTable, secrets.fill(raw, (), problems), (), problems)
    limits = budget(table.budget, ("budget",), problems)
    limits = replace(limits, run=limits.run or given.together.run, zone=table.timezone)
    rules = SpendingRules(limits, given.together, prices(table.prices, ("prices",), problems))
    wake = wake_of(table.wake or {}, str(home), table.timezone, problems)
    words = refusals(table.refusals, ("refusals",), problems)
    model = llm(table.llm, ("llm",), problems)
    targets = alerts(table.alerts, ("alerts",), problems)
    kept = read(HistoryTable, table.history or {}, ("history",), problems)
    shown = [each for each in BACKGROUND_TASKS if table.builtin is None or each in table.builtin]
    wanted = dict.fromkeys((*shown, *(table.tasks or {})))
    has_own = own_file if written is not None else ""
    found_scripts = scripts(str(home), wanted)
    place = Place(name, str(home), given.file, found_scripts, has_own, given.engine, table.timezone)
    tasks = tuple(each for each in _tasks(wanted, table.tasks or {}, place, problems) if not _hidden(each))
    lines = tuple(problems.lines)
    shared = tuple((source, line) for source, line in problems.found if source.file != own_file)
    found = CitizenSettings(name, home, problems=lines, refused=tuple(problems.refused), hidden=hidden)
    if not lines:
        direct = {name: getattr(table, name) for name in ("workers", "grace", "socket_group", "machines")}
        history = Retention(kept.keep, kept.keep_for)
        found = replace(found, tasks=tasks, wake=wake, secrets=secrets.values, llm=model, **direct)
        found = replace(found, alerts=targets, history=history, spending=rules, refusals=words)
    return LoadedCitizen(found, frozenset(wanted), place.scripts, shared)


def _hidden(task: Task) -> bool:
    """Whether this is a built-in task that was disabled but never set up, and so is not shown."""
    return task.name in BUILT_IN and not task.enabled and not task.set_up


def _tasks(names: Any, tables: Mapping[str, Any], place: Place, problems: Problems) -> tuple[Task, ...]:
    made = []
    for name in names:
        if name == WAKE:
            problems.add(("tasks", name), NOT_A_TASK)
        elif NAME.fullmatch(name):
            made.append(task(name, tables.get(name, {}), place, problems))
        else:
            problems.add(("tasks", name), BAD_NAME)
    return tuple(sorted((each for each in made if each), key=lambda each: (each.priority, each.name)))
