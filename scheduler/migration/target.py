"""Finds the inputs of a move: the crontabs, the citizen, and its present settings."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scheduler.config.citizen import Sources, citizen
from scheduler.config.defaults import BACKGROUND_TASKS, FIRST
from scheduler.config.files import Files, main_candidates
from scheduler.config.settings import Settings
from scheduler.core.schedules.schedule import unix
from scheduler.core.state import TaskState
from scheduler.core.task import WAKE, Call, Imported
from scheduler.errors import BadSettings, SchedulerError
from scheduler.migration.crontab import Crontab, LineKind, read
from scheduler.migration.installed_cron import READ_BY_CRON, SYSTEM, why_ignored
from scheduler.migration.journal import newest, why_none
from scheduler.migration.names import folders_in
from scheduler.migration.plan import v1_name
from scheduler.migration.planned import Source
from scheduler.migration.settings_writer import Target
from scheduler.storage.state_file import StateFile
from scheduler.system.files import read_file, read_json
from scheduler.system.foreign_home import is_ours
from scheduler.system.homes import NAME

_TURN = {"command", "handler", "every", "cron", "timezone"}  # keys that show that a wake is set already


def current_user() -> str:
    """The name of the user that runs this process."""
    from pwd import getpwuid

    try:
        return getpwuid(os.getuid()).pw_name
    except KeyError as error:
        raise SchedulerError(f"user {os.getuid()} has no name; add --user") from error


def sources(files: Iterable[Path], user: str, system: bool, column: bool | None) -> list[Source]:
    """The named files and folders, or else the user's own crontab; `system` adds those in /etc."""
    found = [_file(path, column) for place in files for path in _crontab_files(place)]
    if not found and not files:
        content = Crontab("" if user == current_user() else user).read()
        if content is not None:
            ignored = why_ignored(None, content)
            found = [Source(f"crontab of {user}", content, column=False, ignored=ignored)]
        elif not system:
            raise SchedulerError(f"{user} has no crontab; name a file, or --system for what is below /etc")
    places = [place for place in SYSTEM if system and place.exists()]
    return found + [_file(path, True) for place in places for path in _crontab_files(place)]


def _file(path: Path, column: bool | None) -> Source:
    path = path.absolute()
    try:
        content = read_file(path)
        return Source(str(path), content, path, column, why_ignored(path, content))
    except OSError as error:
        raise SchedulerError(f"{path}: cannot be read: {error.strerror}; name another file") from error


def _crontab_files(place: Path) -> list[Path]:
    """The file itself, or the files in a folder that cron reads: no names with a dot or a tilde."""
    if not place.is_dir():
        return [place]
    names = sorted(place.iterdir())
    return [each for each in names if READ_BY_CRON.fullmatch(each.name) and each.is_file()]


def choose_citizen(settings: Settings, name: str | None, sources: Sequence[Source]) -> str:
    """The citizen's name: as given, or of the only citizen, or of the one that v1's wake belongs to."""
    if name is None:
        name = _only(settings.known, sources)
    if not NAME.fullmatch(name):
        raise SchedulerError(
            f"{name!r} is not a valid name for a citizen; use a-z, 0-9, _ and -, a letter first"
        )
    return name


def _only(known: Sequence[str], sources: Iterable[Source]) -> str:
    if len(known) == 1:
        return known[0]
    woken = {name for name in _woken(sources) if not known or name in known}
    if len(woken) == 1:
        return woken.pop()
    if known:
        raise SchedulerError(f"for which citizen? Add --citizen, one of: {', '.join(known)}")
    return FIRST


def _woken(sources: Iterable[Source]) -> Iterator[str]:
    """The folders of v1's wake scripts, which bear their citizens' names."""
    for source in sources:
        for line in read(source.content):
            if line.kind is LineKind.JOB and "wake" in line.rest and v1_name(line.rest) == WAKE:
                yield from filter(NAME.fullmatch, folders_in(line.rest)[-1:])


def load_target(settings: Settings, name: str, config: Path | None) -> Target:
    """The settings file of the citizen; raises BadSettings if its settings have errors."""
    files, home = Files(), settings.root / name
    candidates = list(map(str, main_candidates(config, os.environ)))
    file = next((each for each in candidates if files.toml(each) is not None), candidates[0])
    main = files.toml(file) or {}
    given = Sources(main.get("citizens", {}).get(name, {}), {}, file, os.environ)
    if problems := citizen(name, home, given, Files()).citizen.problems:
        raise BadSettings(problems)
    return Target(name, home, given, files.text(str(home / "experience.toml")))


def existing_tables(found: Target) -> dict[str, str]:
    """The tasks (and the wake) that are set already, and where."""
    places = (
        (found.given.main, f"citizens.{found.name}.", found.given.file),
        (_own_settings(found), "", found.file),
    )
    return {name: f"[{above}{at}] in {file}" for table, above, file in places for name, at in _set_in(table)}


def _set_in(tables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((name, f"tasks.{name}") for name, table in tables.get("tasks", {}).items() if table)
    if _TURN & tables.get(WAKE, {}).keys():
        yield WAKE, WAKE


def states_of(home: Path) -> dict[str, TaskState]:
    """The saved states of the tasks and the wake, which decide their first runs; raises Unreadable."""
    states, _ = StateFile(home).peek()
    last = unix(read_json(home / "metadata.json", {}).get("last_wake"))
    return {**states, **({} if last is None else {WAKE: TaskState(last_run=last)})}


def ready_handlers(found: Target) -> frozenset[str]:
    """The built-in tasks whose handlers are set up, but whose times are not set."""
    tasks = citizen(found.name, found.home, found.given, Files()).citizen.tasks
    timed = {
        name
        for tables in (found.given.main, _own_settings(found))
        for name, table in tables.get("tasks", {}).items()
        if {"every", "cron"} & table.keys()
    }
    ready = {task.name for task in tasks if isinstance(task.work, Call | Imported)}
    return frozenset(ready & BACKGROUND_TASKS.keys() - timed)


def _own_settings(found: Target) -> Mapping[str, Any]:
    return Files().toml(str(found.file)) or {}


def newest_move(settings: Settings, name: str | None) -> Path:
    """The home of the citizen with the newest move; without a name, only among this user's homes."""
    # Not by citizens: a home without settings, where an undo was interrupted, is no citizen's any more.
    homes = (
        [settings.root / name]
        if name
        else [each for each in settings.root.iterdir() if NAME.fullmatch(each.name) and is_ours(each)]
    )
    moved = [(journal.name, home) for home in homes if (journal := newest(home))]
    if not moved:
        why = why_none(settings.root / name) if name else ""
        raise SchedulerError(f"nothing to undo{f' for {name}' if name else ''}: no line was moved{why}")
    return max(moved)[1]
