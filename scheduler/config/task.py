"""Turns the table of one task into a Task: schedule, work and limits."""

import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import tzinfo
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from scheduler.config.defaults import BACKGROUND_TASKS, advice
from scheduler.config.run_table import RunTable, WorkTable, pause_after
from scheduler.config.sections.services import SHORTEST
from scheduler.config.times import active_hours, cron_schedule
from scheduler.core.planning import active_slot
from scheduler.core.schedules.schedule import LONGEST, NEVER, Cron, Every, Schedule
from scheduler.core.secrets import Sensitive, SensitiveBytes, holds_sensitive
from scheduler.core.task import Call, Command, Imported, Isolated, NotSetUp, Task, Work
from scheduler.errors import BadSchedule
from scheduler.handlers.registry import BuiltIn, built_in
from scheduler.schema.table import At, Problems, is_table, key, read
from scheduler.schema.values import (
    Flag,
    InvalidValue,
    document,
    integer,
    name_of,
    reason,
    seconds,
    text,
    time_limit,
)


class TaskTable(RunTable):
    """The keys of `[tasks.NAME]`."""

    every: Annotated[float | None, seconds(SHORTEST)] = key(None, "The interval, from start to start.")
    timeout: Annotated[float, time_limit(0.001)] = key(300.0, 'How long a run may take; "none": no limit.')
    priority: Annotated[int, integer(-1000, 1000)] = key(50, "Of the due tasks, the lowest starts first.")
    input: Annotated[str | None, text] = key(None, "Text for the command's standard input.")
    queue: Annotated[str, name_of("queue", "gpu")] = key(
        "", "The workers that carry its runs; else its owner does."
    )
    options: Annotated[dict[str, Any] | None, document] = key(
        None, "What a handler of your own finds in ctx.options."
    )
    news: Flag = key(True, "false: only its failures and recoveries are news for the gate of the wake.")


class Place(NamedTuple):
    """The citizen that a task belongs to, with its home and the scripts there."""

    citizen: str
    home: str
    main: str  # the main settings file, for advice
    scripts: Mapping[str, str]
    own: str = ""  # the citizen's own settings file, if there is one
    engine: bool = False  # whether there is a database, so that workers are possible
    zone: tzinfo | None = None  # the citizen's; None: the machine's

    def header(self, task: str) -> str:
        """The lines that name the file and the table for this task's settings."""
        if self.own:
            return f"# in {self.own}\n[tasks.{task}]"
        return f"# in {self.main}\n[citizens.{self.citizen}.tasks.{task}]"


def task(name: str, raw: Any, place: Place, problems: Problems) -> Task | None:
    """The task of this name; None if its settings cannot be used, which is noted."""
    at, before = ("tasks", name), len(problems.found)
    given = is_table(raw, at, problems)
    if len(problems.found) > before:
        return None
    if not given and (default := _default_task(name)):
        return (
            default
            if default.set_up
            else default.with_work(_named_script(name, TaskTable.model_construct(), place))
        )
    builtin = None if given.keys() & {"command", "handler"} else built_in(name)
    own = builtin.options.model_fields if builtin else {}
    options = (
        read(builtin.options, {k: given[k] for k in own if k in given}, at, problems) if builtin else None
    )
    rest = {k: value for k, value in given.items() if k not in own}
    table = read(TaskTable, _defaults(name) | rest, at, problems, own)
    work = _work(name, table, given, builtin, place, problems)
    schedule: Schedule | None
    hours = None
    try:
        schedule = _schedule(table, given, place.zone, at, problems)
        hours = active_hours(table, schedule, place.zone)
    except BadSchedule as error:  # the machine's zone is unknown: the citizen's other tasks still run
        asks = "cron" if table.cron else "active"
        problems.refuse((*at, asks), reason(given[asks], error))
        schedule = Cron(table.cron) if table.cron else Every(table.every or LONGEST)
        work = NotSetUp("timezone", _zone_advice(name, place))
    most = pause_after(table, at, problems)
    if table.options is not None and not table.handler:
        problems.add((*at, "options"), "goes with handler; a command gets arguments, input or environment")
    if table.queue and not place.engine:
        problems.add((*at, "queue"), "needs the database that machines share; add [engine] to the main file")
    if schedule is None or len(problems.found) > before:
        return None
    hidden = frozenset(k for k, value in given.items() if holds_sensitive(value))
    made = _build_task(name, schedule, work, table, table.options if builtin is None else options)
    made = replace(made, active=hours, pause_after=most, source=problems.files(at, given), hidden=hidden)
    if isinstance(schedule, Cron) and not made.catch_up and active_slot(made, schedule.after(0.0)) == NEVER:
        fix = "widen them, or remove catch_up = false"
        problems.add((*at, "active"), f"no time of {schedule} is in these hours; {fix}")
        return None
    return made


def _zone_advice(name: str, place: Place) -> str:
    return f'{place.header(name)}\ntimezone = "Europe/Berlin"'


@lru_cache(maxsize=64)
def _default_task(name: str) -> Task | None:
    """A built-in task without settings: the same for every citizen, except for a script it may find."""
    if name not in BACKGROUND_TASKS:
        return None
    every, table = Every(BACKGROUND_TASKS[name]["interval"]), TaskTable.model_construct(**_defaults(name))
    if (builtin := built_in(name)) is None:
        return _build_task(name, every, NotSetUp("command"), table, None)
    work = NotSetUp("command") if builtin.needs else Call(builtin.function)
    return _build_task(name, every, work, table, builtin.options.model_construct())


def _build_task(name: str, schedule: Schedule, work: Work, table: TaskTable, options: Any) -> Task:
    return Task(name, schedule, work, options=options, **{key: getattr(table, key) for key in _SAME})


_SAME = ({each.name for each in fields(Task)} & TaskTable.model_fields.keys()) - {"options", "active"}


def _defaults(name: str) -> dict[str, Any]:
    entry = BACKGROUND_TASKS.get(name, {})
    renamed = {"max_runtime": "timeout"}
    return {renamed.get(k, k): value for k, value in entry.items() if k != "interval"}


def _schedule(
    table: TaskTable, given: Mapping[str, Any], usual: tzinfo | None, at: At, problems: Problems
) -> Schedule | None:
    found = cron_schedule(table, given, usual, at, problems)
    if found or "cron" in given:
        return found
    if interval := table.every or BACKGROUND_TASKS.get(at[-1], {}).get("interval"):
        return Every(interval)
    if "every" not in given:
        problems.add(at, 'has no schedule; add every = "1h" or cron = "0 9 * * *"')
    return None


def _work(
    name: str,
    table: TaskTable,
    given: Mapping[str, Any],
    builtin: BuiltIn | None,
    place: Place,
    problems: Problems,
) -> Work:
    at = ("tasks", name)
    if work := explicit_work(table, place.home, at, problems):
        return work
    if builtin is not None and not builtin.lacks(given):
        only_commands(table, at, problems)
        if table.isolated:
            problems.add((*at, "isolated"), "goes with a handler of your own; remove it from a built-in task")
        return Call(builtin.function)
    return _named_script(name, table, place, given)


def _named_script(name: str, table: TaskTable, place: Place, given: Mapping[str, Any] | None = None) -> Work:
    """The script with the task's name, or what is missing, with the lines to add."""
    if name in place.scripts:
        return command(table, (_python(), place.scripts[name]))
    builtin = built_in(name)
    if builtin is not None and (missing := builtin.lacks(given or ())):
        lines = f"{place.header(name)}\n{builtin.lines.strip()}"
        return NotSetUp(missing.replace("|", " or "), lines)
    return NotSetUp("command", advice(place.header(name), name))


# ------------------------------------------------------------------ what command and handler ask for


def explicit_work(table: WorkTable, home: str, at: At, problems: Problems) -> Work | None:
    """The work that `command` or `handler` defines; None if there is neither or it cannot be used."""
    if table.command and table.handler:
        problems.add(at, "has both command and handler; keep one of them")
    elif table.command:
        if table.isolated:
            problems.add((*at, "isolated"), "goes with handler; a command is a process of its own already")
        return command(table, table.command)
    elif table.handler:
        only_commands(table, at, problems)
        try:
            return _handler(table.handler, table.isolated, home)
        except InvalidValue as error:
            problems.add((*at, "handler"), reason(table.handler, error))
    return None


def command(table: WorkTable, argv: tuple[str, ...]) -> Command:
    given = getattr(table, "input", None) or ""  # only tasks have it; the wake gets its own input
    content = given.encode("utf-8", "surrogateescape")
    hidden = isinstance(given, Sensitive)
    return Command(
        argv,
        table.environment or {},
        SensitiveBytes(content) if hidden else content,
        table.working_folder,
        table.inherit_environment is not False,
    )


def only_commands(table: WorkTable, at: At, problems: Problems) -> None:
    """Note the keys that have no meaning for a Python handler."""
    for name in ("environment", "inherit_environment", "working_folder", "input"):
        if getattr(table, name, None) is not None:
            problems.add(
                (*at, name), "goes with command; a handler gets its options and secrets in its Context"
            )


@lru_cache(maxsize=1)
def _python() -> str:
    from shutil import which

    return "python3" if which("python3") else sys.executable


def _handler(target: str, isolated: bool, home: str) -> Work:
    source, colon, function = target.rpartition(":")
    if not (colon and source and function.isidentifier()):
        raise InvalidValue(
            f'{target!r} names no function; write "module:function" or "path/file.py:function"'
        )
    if source.endswith(".py"):
        if not (file := Path(home, source)).is_file():
            raise InvalidValue(
                f"there is no file {file}; correct the path, which starts at the citizen's home"
            )
        return Isolated(str(file), function)
    if not all(part.isidentifier() for part in source.split(".")):
        raise InvalidValue(f"{source!r} is not a module; write a file with its .py, a module with dots")
    if not _is_installed(source.partition(".")[0]):
        raise InvalidValue(
            f"there is no module {source!r}; install it, or name a file: path/file.py:{function}"
        )
    return Isolated(source, function) if isolated else Imported(source, function)


def _is_installed(package: str) -> bool:
    """Whether a top-level package can be found; to find `a.b`, Python would import `a`."""
    try:
        return find_spec(package) is not None
    except ValueError:  # a module without a spec, such as __main__
        return False
