"""Plans changes of a citizen's settings, checked as the loader will read them."""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from scheduler.config.files import FilesWithUnwritten
from scheduler.config.settings import CitizenSettings, Settings
from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Command, NotSetUp
from scheduler.editing import document
from scheduler.editing.journal import FileChange, Written, content_of, undo, write
from scheduler.errors import PROGRAM, BadSettings, SchedulerError, TaskFailed, UnknownTask
from scheduler.executors.environment import check_program
from scheduler.handlers.registry import BUILT_IN
from scheduler.schema.json_schema import DIRECTIVE
from scheduler.system.homes import NAME

SETTINGS = "experience.toml"
P = ParamSpec("P")
T = TypeVar("T")

OFTEN = 5.0  # seconds: a shorter interval is rarely intended


@dataclass(frozen=True, slots=True)
class PlannedEdit:
    """A valid change: what it does, the lines it adds, and warnings."""

    citizen: str
    home: Path
    what: str  # "added report"
    changes: tuple[FileChange, ...]
    lines: str = ""  # of the new table
    warnings: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(change.file for change in self.changes)

    def apply(self) -> Written:
        """Write the change; raises SchedulerError, or OSError if the file cannot be written."""
        return write(self.home, self.what, self.changes)


@dataclass(frozen=True)
class SettingsFiles:
    """The files with a citizen's settings."""

    citizen: str
    home: Path
    main: Path
    config: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    @property
    def own(self) -> Path:
        return self.home / SETTINGS

    def both(self) -> tuple[tuple[Path, tuple[str, ...]], ...]:
        """The own file and the main one, each with the keys above the citizen's there."""
        return (self.own, ()), (self.main, ("citizens", self.citizen))

    def load(self, changed: Mapping[Path, str | None] | None = None) -> CitizenSettings:
        """The citizen as it would be if these texts replaced the contents of the files."""
        found = self.load_all(changed)
        citizen = found.named(self.citizen)
        return replace(citizen, problems=tuple(dict.fromkeys((*found.problems, *citizen.problems))))

    def load_all(self, changed: Mapping[Path, str | None] | None = None) -> Settings:
        from scheduler.config.main_file import load_all  # pydantic: 150 ms

        files = FilesWithUnwritten({str(file): text for file, text in (changed or {}).items()})
        return load_all(self.config, self.environ, (self.citizen,), create=False, files=files)


def settings_files(
    citizen: str, config: Path | None = None, environ: Mapping[str, str] = os.environ
) -> SettingsFiles:
    """The files with this citizen's settings; raises UnknownCitizen, BadSettings."""
    from scheduler.config.loader import load

    found = load(config=config, environ=environ, only=(citizen,))
    found.chosen((citizen,))
    return SettingsFiles(citizen, found.root / citizen, Path(found.file), config, environ)


# ------------------------------------------------------------------ the changes


def add_task(files: SettingsFiles, name: str, keys: Mapping[str, Any]) -> PlannedEdit:
    """Plan a new task in the citizen's own file; raises BadSettings if these keys cannot be used."""
    if not NAME.fullmatch(name):
        raise SchedulerError(
            f"{name!r} is not a valid name for a task: use a-z, 0-9, _ and -, starting with a letter"
        )
    if place := where_set(files, ("tasks", name)):
        raise SchedulerError(f"{files.citizen} has a task {name} already, in {place}; remove it first")
    text = content_of(files.own)
    start = f"{DIRECTIVE}\n" if text is None else text
    after = _edited(files.own, document.with_table, start, ("tasks", name), keys)
    edit = _checked(files, f"added {name}", {files.own: (text, after)})
    lines = document.with_table("", ("tasks", name), keys)
    return replace(edit, lines=lines, warnings=_warnings(files.load({files.own: after}), name))


def remove_task(files: SettingsFiles, name: str) -> PlannedEdit:
    """Plan to remove the task from every file that sets it; raises UnknownTask."""
    changed: dict[Path, tuple[str | None, str]] = {}
    for file, above in files.both():
        at = (*above, "tasks", name)
        text = content_of(file)
        if text is not None and _edited(file, document.value_at, text, at) is not None:
            changed[file] = text, _edited(file, document.without_table, text, at)
    if not changed:
        raise _not_in_files(files, name, "remove")
    return _checked(files, f"removed {name}", changed)


def set_enabled(files: SettingsFiles, name: str, enabled: bool) -> PlannedEdit:
    """Plan to schedule the task or not, in the citizen's own file; raises UnknownTask."""
    task = next((each for each in files.load().tasks if each.name == name), None)
    if task is None and name not in BUILT_IN and not where_set(files, ("tasks", name)):
        raise UnknownTask(name, [each.name for each in files.load().tasks])
    word = "enabled" if enabled else "disabled"
    if task is not None and task.enabled == enabled:
        raise SchedulerError(f"{files.citizen}: {name} is {word} already")
    text, at = content_of(files.own), ("tasks", name)
    start = f"{DIRECTIVE}\n" if text is None else text
    if enabled and _edited(files.own, document.value_at, start, at) == {"enabled": False}:
        after = document.without_table(start, at)
        if _enabled(files.load({files.own: after}), name):
            return _checked(files, f"{word} {name}", {files.own: (text, after)})
    after = _edited(files.own, document.with_value, start, (*at, "enabled"), enabled)
    return _checked(files, f"{word} {name}", {files.own: (text, after)})


def undo_last(files: SettingsFiles) -> Written:
    """Restore what the last change of this citizen's settings replaced; raises SchedulerError."""
    return undo(files.home, (files.own, files.main))


def where_set(files: SettingsFiles, at: tuple[str, ...]) -> str:
    """The file that sets this table, with the line of its header if any; "" if none does."""
    for file, above in files.both():
        text = content_of(file)
        path = (*above, *at)
        if text is not None and _edited(file, document.value_at, text, path) is not None:
            line = document.line_of(text, path)
            return f"{file}:{line}" if line else str(file)
    return ""


# ------------------------------------------------------------------ checking


def _checked(files: SettingsFiles, what: str, changed: Mapping[Path, tuple[str | None, str]]) -> PlannedEdit:
    """The planned edit; raises BadSettings if problems remain, unless there are fewer than before."""
    after = files.load({file: text for file, (_, text) in changed.items()})
    if after.problems and len(after.problems) >= len(files.load().problems):
        raise BadSettings(after.problems)
    changes = tuple(FileChange(file, before, text) for file, (before, text) in changed.items())
    return PlannedEdit(files.citizen, files.home, what, changes)


def _edited(file: Path, change: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """The result of `change`; errors name the file."""
    try:
        return change(*args, **named)
    except tomllib.TOMLDecodeError as error:
        raise BadSettings((f"{file}: {error}; correct the TOML first",)) from error
    except document.CannotEdit as error:
        raise document.CannotEdit(f"{file}: {error}") from error


def _enabled(citizen: CitizenSettings, name: str) -> bool:
    return any(each.enabled for each in citizen.tasks if each.name == name)


def _not_in_files(files: SettingsFiles, name: str, verb: str) -> SchedulerError:
    known = [each.name for each in files.load().tasks]
    if name in known:
        return SchedulerError(
            f"{files.citizen}: {name} is in no file, so there is nothing to {verb}; "
            f"to stop it: {PROGRAM} disable {files.citizen} {name}"
        )
    return UnknownTask(name, known)


def _warnings(citizen: CitizenSettings, name: str) -> tuple[str, ...]:
    """Settings that are valid but may not be intended."""
    task = next(each for each in citizen.tasks if each.name == name)
    found = [line for line in citizen.refused if f"tasks.{name}" in line]
    if isinstance(task.work, NotSetUp):
        found.append(f"{name} runs when it has what it needs: {task.work.setting}")
    if isinstance(task.schedule, Every) and task.schedule.seconds < OFTEN:
        found.append(f"{name} runs very often: every {task.schedule}")
    if isinstance(task.work, Command):
        try:
            check_program(task.work.argv, task.work.folder or citizen.home, os.environ.get("PATH"))
        except TaskFailed as error:
            found.append(f"{name} will fail: {error}")
    return tuple(found)
