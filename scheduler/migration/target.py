"""Finds the citizen that a move is for, and what is set for it already."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scheduler.config.citizen import Sources, citizen
from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.config.files import Files, main_candidates
from scheduler.config.loader import FIRST, Settings
from scheduler.core.task import Call
from scheduler.errors import BadSettings, SchedulerError
from scheduler.migration.crontab import LineKind, read
from scheduler.migration.journal import FOLDER, newest
from scheduler.migration.names import folders_in
from scheduler.migration.plan import WAKE, Source, v1_name
from scheduler.migration.settings_writer import Target
from scheduler.system.homes import NAME

_TURN = ("command", "handler", "every", "cron", "timezone")  # what a moved wake would bring


def chosen(settings: Settings, name: str | None, sources: Sequence[Source]) -> str:
    """The citizen: the one named, the only one there is, or the one that v1's wake belongs to."""
    if name is None:
        name = _guessed(settings.known, sources)
    if not NAME.fullmatch(name):
        raise SchedulerError(f"{name!r} is no name for a citizen; use a-z, 0-9, _ and -, a letter first")
    return name


def target(settings: Settings, name: str, config: Path | None) -> Target:
    """Where its settings are; raises BadSettings while anything is wrong with them."""
    files, main, file = Files(), {}, ""
    for candidate in map(str, main_candidates(config, os.environ)):
        file = file or candidate
        if (content := files.toml(candidate)) is not None:
            main, file = content, candidate
            break
    home = settings.root / name
    given = Sources(main.get("citizens", {}).get(name, {}), {}, file, os.environ)
    found = Target(name, home, given, files.text(str(home / "experience.toml")))
    if problems := citizen(name, home, given, Files()).citizen.problems:
        raise BadSettings(problems)
    return found


def taken(found: Target) -> dict[str, str]:
    """Which tasks (and the wake) are set already, and where."""
    own = Files().toml(str(found.file)) or {}
    places = [(found.given.main, found.given.file, f"citizens.{found.name}."), (own, str(found.file), "")]
    return {name: place for table in places for name, place in _set_in(*table)}


def handlers(found: Target) -> frozenset[str]:
    """The built-in tasks whose own handlers are set up, and whose times are not set yet."""
    tasks = citizen(found.name, found.home, found.given, Files()).citizen.tasks
    own = Files().toml(str(found.file)) or {}
    timed = {
        name
        for tables in (found.given.main, own)
        for name, table in tables.get("tasks", {}).items()
        if {"every", "cron"} & table.keys()
    }
    ready = {task.name for task in tasks if isinstance(task.work, Call)}
    return frozenset(ready & BACKGROUND_TASKS.keys() - timed)


def newest_move(settings: Settings, name: str | None) -> Path:
    """The home of the citizen whose move is the last one."""
    # A home whose settings are gone already, for the undo was stopped there, is no citizen's any more.
    homes = [settings.root / name] if name else _journals(settings.root)
    moved = [(journal.name, home) for home in homes if (journal := newest(home))]
    if not moved:
        raise SchedulerError(f"nothing to undo{f' for {name}' if name else ''}: no line was moved")
    return max(moved)[1]


def _journals(root: Path) -> list[Path]:
    places = root.glob(f"*/{FOLDER}")
    return [
        place.parents[len(FOLDER.parts) - 1]
        for place in places
        if NAME.fullmatch(place.parts[-1 - len(FOLDER.parts)])
    ]


def _set_in(tables: Mapping[str, Any], file: str, above: str) -> Iterator[tuple[str, str]]:
    for name, table in tables.get("tasks", {}).items():
        if table:
            yield name, f"[{above}tasks.{name}] in {file}"
    if any(key in tables.get(WAKE, {}) for key in _TURN):
        yield WAKE, f"[{above}wake] in {file}"


def _guessed(known: Sequence[str], sources: Iterable[Source]) -> str:
    if len(known) == 1:
        return known[0]
    woken = {name for name in _woken(sources) if not known or name in known}
    if len(woken) == 1:
        return woken.pop()
    if known:
        raise SchedulerError(f"for whom? Add --citizen, one of: {', '.join(known)}")
    return FIRST


def _woken(sources: Iterable[Source]) -> Iterator[str]:
    """The folders of v1's wake scripts: they had their citizens' names."""
    for source in sources:
        for line in read(source.content):
            if line.kind is LineKind.JOB and "wake" in line.rest and v1_name(line.rest) == WAKE:
                folder = folders_in(line.rest)[-1:]
                yield from (name for name in folder if NAME.fullmatch(name))
