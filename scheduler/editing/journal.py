"""Writes changed settings files, and keeps their old contents so that a change can be undone exactly."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scheduler.errors import SchedulerError
from scheduler.system.files import read_file, replace_file
from scheduler.system.foreign_home import is_ours, names_in, remove, rename, sync

FOLDER = Path(".experience") / "edits"
UNDONE = ".undone"
KEPT = 50  # changes kept per citizen


@dataclass(frozen=True, slots=True)
class FileChange:
    """What a file held, and what it will hold; None: no file."""

    file: Path
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Written:
    """A change of the settings that was made or undone."""

    what: str
    files: tuple[Path, ...]
    noted: bool = True  # whether it can be undone


def write(home: Path, what: str, changes: tuple[FileChange, ...]) -> Written:
    """Make the changes; after an error, everything is as before. Raises SchedulerError or OSError.

    Nothing is noted in another user's home: the note would let that user read root's whole main file, and
    root would not trust it.
    """
    for change in changes:
        _require(change.file, change.before)
    journal = _note(home, what, changes) if is_ours(home) else None
    done: list[FileChange] = []
    try:
        for change in changes:
            _write(change.file, change.after)
            done.append(change)
    except OSError:
        for change in reversed(done):
            _write(change.file, change.before)
        if journal:
            remove(journal)
        raise
    if journal:
        _prune(home)
    return Written(what, tuple(change.file for change in changes), noted=journal is not None)


def newest(home: Path) -> Path | None:
    """The note of this user's last change that is not undone."""
    return max((each for each in _notes(home) if each.suffix == ".json" and is_ours(each)), default=None)


def last_change(home: Path) -> str:
    """What the last change that is not undone did; raises SchedulerError if there is none."""
    return _read(_newest_or_raise(home))[0]


def undo(home: Path, files: tuple[Path, ...]) -> Written:
    """Restore what the last change replaced, if it concerns only these files. Raises SchedulerError."""
    note = _newest_or_raise(home)
    what, changes = _read(note)
    if foreign := [change.file for change in changes if change.file not in files]:
        raise SchedulerError(f"{note}: changes {foreign[0]}, which is none of the settings; remove it")
    for change in changes:
        _require(change.file, change.after)
    for change in reversed(changes):
        _write(change.file, change.before)
    rename(note, note.name + UNDONE)
    sync(note.parent)
    return Written(what, tuple(change.file for change in changes))


def content_of(file: Path) -> str | None:
    """The text of the file, with any byte order mark; None if there is no file."""
    try:
        return read_file(file).decode()
    except FileNotFoundError:
        return None


def _write(file: Path, text: str | None) -> None:
    if text is None:
        remove(file)
        sync(file.parent)
    else:
        _replace(file, text)


def _replace(file: Path, text: str, *, make: bool = False) -> None:
    try:
        replace_file(file, text.encode(), make=make)
    except OSError as error:  # a full disk does not name the file
        error.filename = error.filename or str(file)
        raise


def _require(file: Path, text: str | None) -> None:
    if content_of(file) != text:
        raise SchedulerError(f"{file}: has changed meanwhile; nothing was written, look at it first")


# ------------------------------------------------------------------ the notes


def _newest_or_raise(home: Path) -> Path:
    if note := newest(home):
        return note
    others = "; those of other users are undone by them" * bool(_notes(home))
    raise SchedulerError(f"nothing to undo: no command of yours changed the settings of {home.name}{others}")


def _note(home: Path, what: str, changes: tuple[FileChange, ...]) -> Path:
    note = home / FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%S_%fZ}.json"
    entries = [{"file": str(each.file), "before": each.before, "after": each.after} for each in changes]
    content = json.dumps({"version": 1, "what": what, "changes": entries}, indent=2)
    _replace(note, content, make=True)
    return note


def _read(note: Path) -> tuple[str, tuple[FileChange, ...]]:
    try:
        content: dict[str, Any] = json.loads(read_file(note, only_ours=True))
        if content["version"] != 1:
            raise ValueError(f"version {content['version']}")
        changes = [
            FileChange(Path(each["file"]), each["before"], each["after"]) for each in content["changes"]
        ]
        return str(content["what"]), tuple(changes)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SchedulerError(f"{note}: cannot be read: {error}; remove it") from error


def _notes(home: Path) -> list[Path]:
    try:
        return [home / FOLDER / name for name in names_in(home / FOLDER)]
    except OSError:
        return []


def _prune(home: Path) -> None:
    for old in sorted(filter(is_ours, _notes(home)))[:-KEPT]:
        remove(old)
