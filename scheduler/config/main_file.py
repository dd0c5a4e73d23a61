"""Reads the main file and every citizen that it, the environment or a home names, into Settings."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from scheduler.config.citizen import (
    BAD_NAME,
    BUILT_IN_KEY,
    ZONE_KEY,
    CitizenTable,
    LoadedCitizen,
    Sources,
    built_in_as_written,
    citizen,
)
from scheduler.config.defaults import FIRST
from scheduler.config.environment import citizens, parse
from scheduler.config.files import Files, Unusable, default_root, main_candidates
from scheduler.config.new_home import make_home
from scheduler.config.sections.engine import EngineTable, engine, passwords
from scheduler.config.sections.refusals import Refusals
from scheduler.config.sections.services import AlertsTable, HistoryTable, LlmTable
from scheduler.config.sections.spending import BudgetTable, PricesTable, budget
from scheduler.config.settings import (
    CitizenSettings,
    EngineSettings,
    Settings,
    SettingsFingerprint,
    list_homes,
)
from scheduler.config.times import zone_as_written
from scheduler.config.ui import KEYS_SCHEMA, MonitorTable, monitor
from scheduler.core.costs import Budget
from scheduler.core.schedules.active_hours import ActiveHours
from scheduler.core.schedules.schedule import Cron
from scheduler.core.secrets import Masks
from scheduler.schema.table import Nested, Problems, Source, Table, a_table, is_table, key, read, table_of
from scheduler.schema.values import Reader, path, text
from scheduler.system.hanging_disks import SILENT, hanging
from scheduler.system.homes import NAME
from scheduler.system.time_zones import zone_named, zones_now

# The keys of the main file that apply to every citizen.
SHARED = ("llm", "alerts", "history", "prices", "refusals", "socket_group", "timezone", "builtin")


def _citizens_schema(handler: Any) -> dict[str, Any]:
    each = table_of(CitizenTable).__get_pydantic_json_schema__(None, handler)
    names = {"pattern": f"^{NAME.pattern}$"}
    return {"type": "object", "additionalProperties": each, "propertyNames": names}


class MainTable(Table):
    """The keys of the main file."""

    root: Annotated[Path | None, path] = key(None, "The folder of the citizens' homes.")
    socket_group: Annotated[str | None, text] = key(None, "The Unix group that may attach.")
    timezone: Annotated[str | None, zone_as_written] = ZONE_KEY
    builtin: Annotated[Any, built_in_as_written] = BUILT_IN_KEY
    llm: Annotated[Nested, table_of(LlmTable)] = None
    alerts: Annotated[Nested, table_of(AlertsTable)] = None
    history: Annotated[Nested, table_of(HistoryTable)] = None
    budget: Annotated[Nested, table_of(BudgetTable)] = key(None, "What all citizens may cost together.")
    refusals: Refusals = key(None, "Words in which a provider refuses.")
    prices: PricesTable = key(None, "What tokens cost, by the name of a model.")
    engine: Annotated[Nested, table_of(EngineTable)] = None
    monitor: Annotated[Nested, table_of(MonitorTable)] = None
    keys: Annotated[Nested, Reader(a_table, KEYS_SCHEMA)] = None
    citizens: Annotated[Nested, Reader(a_table, _citizens_schema)] = key(None, "The citizens, by name.")


def load_all(
    config: Path | None,
    environ: Mapping[str, str],
    only: Collection[str],
    *,
    create: bool,
    files: Files | None = None,
) -> Settings:
    """All settings, and all problems in them; `files` may hold texts that are not written yet."""
    files, machine = files or Files(), zones_now(())  # before the tasks, to notice later changes
    main, file, wrong = _main(files, config, environ)
    root = _root(main, environ)
    spelt, more = citizens(environ)
    together, too_much = _together(main, file)
    wrong += more + too_much + _bad_citizens(main.citizens or {}, file) + _bad_citizens(spelt, "environment")
    named = {name for name in (*(main.citizens or {}), *spelt) if NAME.fullmatch(name)}
    made = _create(root, named, only) if create else []
    there, unlisted = list_homes(root)
    known = tuple(sorted(named | set(there)))
    shared = {name: found for name in SHARED if (found := getattr(main, name)) is not None}

    database, more = _engine(main.engine, file, environ)
    wrong += more
    engine = main.engine is not None

    def given(name: str) -> Sources:
        return Sources(_of(main.citizens, name), _of(spelt, name), file, environ, shared, together, engine)

    wanted = [name for name in known if not only or name in only]
    silent = hanging(str(root / name) for name in wanted)
    found = [
        _silent(name, root / name)
        if str(root / name) in silent
        else citizen(name, root / name, given(name), files)
        for name in wanted
    ]
    if database:  # a run has it in its environment, and may print it
        found = [_hiding(passwords(database.url), each) for each in found]
    of_main = sorted((each for home in found for each in home.shared), key=_is_of_a_citizen)
    return Settings(
        root=root,
        citizens=tuple(_blocked_by_main_file(each.citizen, wrong) for each in found),
        problems=tuple(dict.fromkeys((*wrong, *made, *unlisted, *(line for _, line in of_main)))),
        files=tuple(map(Path, files.stamps)),
        known=known,
        monitor=monitor(main.keys, main.monitor, file),
        engine=database,
        file=file,
        mark=_mark(files, root, there, found, machine, silent),
        given=files.given,
    )


def _mark(
    files: Files,
    root: Path,
    there: Iterable[str],
    found: Collection[LoadedCitizen],
    machine: Mapping[str, tzinfo],
    silent: frozenset[str],
) -> SettingsFingerprint:
    return SettingsFingerprint(
        files=tuple(files.stamps),
        root=root,
        looked_for=tuple((str(each.citizen.home), each.looked_for) for each in found),
        stamps=tuple(files.stamps.values()),
        homes=tuple(there),
        scripts=frozenset(file for each in found for file in each.scripts.values()),
        silent=silent,
        zones={**machine, **_zones_of(found, machine.values())},
    )


def _silent(name: str, home: Path) -> LoadedCitizen:
    return LoadedCitizen(CitizenSettings(name, home, problems=(f"{home}: {SILENT}",)))


def _zones_of(found: Iterable[LoadedCitizen], others: Collection[tzinfo]) -> dict[str, tzinfo]:
    """By name, each zone that times of tasks, wakes or budgets use, except `others`."""
    tasks = [task for each in found for task in each.citizen.tasks]
    times: list[object] = [each for task in tasks for each in (task.schedule, task.active)]
    times += [each for one in found for each in (one.citizen.wake.schedule, one.citizen.wake.active)]
    budgets = [each.citizen.spending for each in found]
    times += [budget for rules in budgets for budget in (rules.budget, rules.together)]
    zones = {each.zone for each in times if isinstance(each, Cron | ActiveHours | Budget)}
    return {str(each): each for each in zones if isinstance(each, ZoneInfo) and each not in others}


# ------------------------------------------------------------------ the main file and the environment


def _main(files: Files, config: Path | None, environ: Mapping[str, str]) -> tuple[MainTable, str, list[str]]:
    """The main file's tables, its path, and what is wrong with it."""
    candidates = [str(each) for each in main_candidates(config, environ)]
    for file in candidates:
        try:
            content = files.toml(file)
        except Unusable as error:
            return MainTable.model_construct(), file, [str(error)]
        if content is not None:
            problems = Problems({(): Source(file)})
            return read(MainTable, content, (), problems), file, problems.lines
    missing = [
        f"{file}: does not exist; create it, or name another" for file in candidates if len(candidates) == 1
    ]
    return MainTable.model_construct(), candidates[0], missing


def _engine(
    raw: Mapping[str, Any] | None, file: str, environ: Mapping[str, str]
) -> tuple[EngineSettings | None, list[str]]:
    """The database of `[engine]`, and what is wrong with it; ${NAME}s are filled from the environment."""
    secrets = parse("", "", environ)
    problems = Problems({(): Source(file)}, Masks(secrets.used(raw)).hide)
    filled = None if raw is None else secrets.fill(dict(raw), ("engine",), problems)
    found = None if problems.found else engine(filled, problems)
    return found, problems.lines


def _hiding(secrets: frozenset[str], found: LoadedCitizen) -> LoadedCitizen:
    """The citizen, with these secrets hidden from its output, too."""
    return replace(found, citizen=replace(found.citizen, hidden=found.citizen.hidden | secrets))


def _root(main: MainTable, environ: Mapping[str, str]) -> Path:
    if chosen := environ.get("EXPERIENCE_ROOT"):
        return Path(chosen).expanduser().absolute()
    return main.root or default_root()


def _together(main: MainTable, file: str) -> tuple[Budget, list[str]]:
    """The limits of all citizens together; a mistake in one stops all, since no limit would apply."""
    problems = Problems({(): Source(file)})
    zone = zone_named(main.timezone) if main.timezone else None
    return replace(budget(main.budget, ("budget",), problems), zone=zone), problems.lines


def _is_of_a_citizen(problem: tuple[Source, str]) -> bool:
    """A sort key that puts problems of shared keys before those of single citizens."""
    return bool(problem[0].above)


def _bad_citizens(tables: Mapping[str, Any], file: str) -> list[str]:
    problems = Problems({(): Source(file)})
    for name, table in tables.items():
        if not NAME.fullmatch(name):
            problems.add(("citizens", name), BAD_NAME)
        is_table(table, ("citizens", name), problems)
    return problems.lines


def _of(tables: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    table = (tables or {}).get(name)
    return table if isinstance(table, dict) else {}


def _blocked_by_main_file(citizen: CitizenSettings, wrong: list[str]) -> CitizenSettings:
    """A citizen that runs nothing, since its tasks are unknown while the main file has errors."""
    if not wrong:
        return citizen
    return CitizenSettings(citizen.name, citizen.home, problems=(*wrong, *citizen.problems))


# ------------------------------------------------------------------ the homes


def _create(root: Path, named: Collection[str], only: Collection[str]) -> list[str]:
    """Make missing homes, and a first citizen if there is none; return what could not be made."""
    missing = [name for name in named if not only or name in only]
    if not named and list_homes(root) == ([], []):
        missing = [name for name in only or (FIRST,) if NAME.fullmatch(name)]
    wrong = []
    for name in missing:
        try:
            make_home(root / name)
        except OSError as error:
            wrong.append(f"{root / name}: cannot be made: {error.strerror}; make it, or correct root")
    return wrong
