"""Applies a move, and undoes it: copies everything that will change first, then makes the changes in order.

An interrupted move has either changed nothing or can be undone, byte for byte.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scheduler.errors import PROGRAM, SchedulerError
from scheduler.migration.crontab import Crontab
from scheduler.migration.settings_writer import SETTINGS, uncommented
from scheduler.system.files import read_file, replace_file
from scheduler.system.foreign_home import is_ours, names_in, open_folder, remove, rename, sync

FOLDER = Path(".experience") / "migrate"
DONE, UNDONE, PARTIAL = "done", ".undone", ".partial"


@dataclass(frozen=True, slots=True)
class File:
    """A file that is replaced whole, with its permissions and owner."""

    path: Path

    def read(self) -> bytes | None:
        try:
            return read_file(self.path)
        except FileNotFoundError:
            return None

    def write(self, content: bytes | None) -> None:
        if content is None:
            remove(self.path)
            sync(self.path.parent)
        else:
            replace_file(self.path, content)

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class Change:
    """One change: what a file or crontab holds now, and what it will hold; None: it does not exist."""

    what: Crontab | File
    before: bytes | None
    after: bytes | None


def apply(home: Path, changes: Iterable[Change]) -> Path:
    """Make the changes in order, and return the journal's folder. After an error everything is as before."""
    changes = tuple(changes)
    if (unfinished := newest(home)) and not (unfinished / DONE).exists():
        raise SchedulerError(f"a move was interrupted ({unfinished.name}); first: {PROGRAM} migrate --undo")
    journal = _prepare(home, changes)
    try:
        for change in changes:
            if change.what.read() != change.before:
                raise SchedulerError(f"{change.what} has changed just now; try again")
            change.what.write(change.after)
    except (OSError, SchedulerError):
        _roll_back(home, journal)
        raise
    replace_file(journal / DONE, b"")
    return journal


def undo(home: Path) -> list[str]:
    """Restore what the newest move changed, and return its names; raises SchedulerError."""
    journal = newest(home)
    if journal is None:
        raise SchedulerError(f"nothing to undo: no line was moved to {home}{why_none(home)}")
    return _roll_back(home, journal)


def _roll_back(home: Path, journal: Path) -> list[str]:
    """Restore everything or nothing: if anything has changed since, refuse before the first change."""
    changes = _read(journal)
    for change in changes:
        _check(home, journal, change)
    for change in changes:
        if change.what.read() not in (change.before, change.after):
            raise SchedulerError(
                f"{change.what} has changed since; its old content is in {journal}: restore it by hand, "
                f"then rename that folder to {journal.name}{UNDONE}"
            )
    for change in reversed(changes):  # the crontab first: better a line runs twice than never
        if change.what.read() != change.before:
            change.what.write(change.before)
    rename(journal, journal.name + UNDONE)
    sync(journal.parent)
    return [str(change.what) for change in reversed(changes)]


# ------------------------------------------------------------------ the journal


def newest(home: Path) -> Path | None:
    """The folder of this user's last move that is not undone, finished or not."""
    return max(filter(is_ours, _moves(home)), default=None)


def why_none(home: Path) -> str:
    """A note that other users have moves here, for the end of a message; empty if they have none."""
    return f" by you: {home / FOLDER} holds another user's moves, undo them as that user" * bool(_moves(home))


def _moves(home: Path) -> list[Path]:
    """All moves in the home; in another user's home they may be made up."""
    with contextlib.suppress(OSError):
        return [home / FOLDER / name for name in names_in(home / FOLDER) if not Path(name).suffix]
    return []


def _prepare(home: Path, changes: tuple[Change, ...]) -> Path:
    """Save the old and new contents before anything changes; a single rename makes the journal valid."""
    folder = home / FOLDER
    journal = folder / datetime.now(UTC).strftime("%Y%m%dT%H%M%S_%fZ")
    partial = journal.with_name(journal.name + PARTIAL)
    with open_folder(folder, make=True) as at:
        for stale in (name for name in names_in(folder) if name.endswith(PARTIAL) and is_ours(folder / name)):
            shutil.rmtree(stale, dir_fd=at.folder)
        at.beside(partial.name).make_folder(give=False)  # root's own: `--undo` trusts what its user wrote
    entries = [_entry(partial, number, change) for number, change in enumerate(changes)]
    content = json.dumps({"version": 1, "changes": entries}, indent=2)
    replace_file(partial / "journal.json", content.encode())
    rename(partial, journal.name)
    sync(folder)
    return journal


def _entry(folder: Path, number: int, change: Change) -> dict[str, str | None]:
    what = change.what
    entry: dict[str, str | None]
    entry = {"file": str(what.path)} if isinstance(what, File) else {"crontab": what.user}
    for name, content in (("before", change.before), ("after", change.after)):
        entry[name] = None if content is None else f"{number}.{name}"
        if content is not None:
            replace_file(folder / f"{number}.{name}", content)
    return entry


def _read(journal: Path) -> list[Change]:
    try:
        entries = json.loads(read_file(journal / "journal.json", only_ours=True))["changes"]
        return [_change(journal, entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SchedulerError(f"{journal}: cannot be read: {error}; its copies are whole files") from error


def _change(journal: Path, entry: Mapping[str, Any]) -> Change:
    what = File(Path(entry["file"])) if "file" in entry else Crontab(entry["crontab"])
    before, after = (
        None if entry[name] is None else read_file(journal / Path(entry[name]).name, only_ours=True)
        for name in ("before", "after")
    )
    return Change(what, before, after)


def _check(home: Path, journal: Path, change: Change) -> None:
    """Refuse a change that no move makes: only this home's settings, and marks on lines of crontabs."""
    what, before, after = change.what, change.before, change.after
    if what == File(home / SETTINGS):
        return
    if not before or not after or uncommented(before) != uncommented(after):
        raise SchedulerError(f"{journal}: changes {what} in another way than a move does; remove it")
    if isinstance(what, Crontab) and not _is_of(what.user, home):
        raise SchedulerError(f"{journal}: {what} does not belong to the user of {home}; remove it")


def _is_of(user: str, home: Path) -> bool:
    from pwd import getpwnam

    try:
        return (getpwnam(user).pw_uid if user else os.geteuid()) == home.stat().st_uid
    except KeyError:
        return False
