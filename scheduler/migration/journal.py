"""Carries a move out, and back: first a copy of all that will change, then one change after the other.

A move that was stopped anywhere has either changed nothing or can be undone, byte for byte.
"""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scheduler.errors import SchedulerError
from scheduler.system.files import open_new, read_file

FOLDER = Path(".experience") / "migrate"
DONE, UNDONE, PARTIAL = "done", ".undone", ".partial"


@dataclass(frozen=True, slots=True)
class Crontab:
    """The user's own crontab, which the program `crontab` keeps; a `user` of "" is who runs this."""

    user: str = ""

    def read(self) -> bytes | None:
        """What is in it, None if there is none; raises SchedulerError if it will not say."""
        done = _crontab(self, "-l")
        if done.returncode == 0:
            return done.stdout
        if b"no crontab" in done.stderr or b"No such file" in done.stderr:
            return None
        raise SchedulerError(
            f"crontab -l says: {_said(done) or done.returncode}; name the crontab's file instead"
        )

    def write(self, content: bytes | None) -> None:
        done = _crontab(self, "-r") if content is None else _crontab(self, "-", content)
        if done.returncode != 0 or self.read() != content:
            raise SchedulerError(f"crontab took it not: {_said(done) or 'it reads back as something else'}")

    def __str__(self) -> str:
        return f"crontab of {self.user}" if self.user else "your crontab"


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
            self.path.unlink()
            _sync(self.path.parent)
            return
        _replace(self.path, content)

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to be changed: what it holds now, and what it will hold; None is nothing at all."""

    what: Crontab | File
    before: bytes | None
    after: bytes | None


def apply(home: Path, changes: Iterable[Change]) -> Path:
    """Make the changes, in order; gives the folder of their journal. On an error all is as it was."""
    changes = tuple(changes)
    if (unfinished := newest(home)) and not (unfinished / DONE).exists():
        raise SchedulerError(
            f"a move was stopped half-way ({unfinished.name}); first: experience-tui migrate --undo"
        )
    journal = _prepare(home, changes)
    try:
        for change in changes:
            if change.what.read() != change.before:
                raise SchedulerError(f"{change.what} was changed a moment ago; try again")
            change.what.write(change.after)
    except (OSError, SchedulerError):
        _back(journal)
        raise
    _write(journal / DONE, b"")
    _sync(journal)
    return journal


def undo(home: Path) -> list[str]:
    """Put back what the newest move changed; gives what that was. Raises SchedulerError."""
    journal = newest(home)
    if journal is None:
        raise SchedulerError(f"nothing to undo: no line was moved to {home}")
    return _back(journal)


def _back(journal: Path) -> list[str]:
    """All or nothing is changed here, too: what somebody else has changed since stops it before it begins."""
    changes = _read(journal)
    for change in changes:
        if change.what.read() not in (change.before, change.after):
            raise SchedulerError(
                f"{change.what} was changed since; what it was is in {journal}: put it back by hand, "
                f"then rename that folder to {journal.name}{UNDONE}"
            )
    restored = []
    for change in reversed(changes):  # the crontab first: a line that runs twice is better than never
        if change.what.read() != change.before:
            change.what.write(change.before)
        if isinstance(change.what, File):
            _partial(change.what.path).unlink(missing_ok=True)
        restored.append(str(change.what))
    journal.rename(journal.with_name(journal.name + UNDONE))
    _sync(journal.parent)
    return restored


# ------------------------------------------------------------------ the journal


def newest(home: Path) -> Path | None:
    """The folder of the last move that was not undone, finished or not."""
    with contextlib.suppress(OSError):
        folders = sorted(each for each in (home / FOLDER).iterdir() if not each.suffix)
        return folders[-1] if folders else None
    return None


def _prepare(home: Path, changes: tuple[Change, ...]) -> Path:
    """What each thing holds and will hold, on disk before anything is touched; one rename makes it count."""
    place = home / FOLDER
    _make(place)
    for stale in place.glob(f"*{PARTIAL}"):
        shutil.rmtree(stale)
    journal = place / datetime.now(UTC).strftime("%Y%m%dT%H%M%S_%fZ")
    partial = journal.with_name(journal.name + PARTIAL)
    partial.mkdir(mode=0o700)
    entries = [_entry(partial, number, change) for number, change in enumerate(changes)]
    _write(partial / "journal.json", json.dumps({"version": 1, "changes": entries}, indent=2).encode())
    _sync(partial)
    partial.rename(journal)
    _sync(place)
    return journal


def _entry(folder: Path, number: int, change: Change) -> dict[str, Any]:
    what = change.what
    entry: dict[str, Any] = {"file": str(what.path)} if isinstance(what, File) else {"crontab": what.user}
    for name in ("before", "after"):
        content = getattr(change, name)
        entry[name] = None if content is None else f"{number}.{name}"
        if content is not None:
            _write(folder / entry[name], content)
    return entry


def _read(journal: Path) -> list[Change]:
    try:
        entries = json.loads(read_file(journal / "journal.json"))["changes"]
        return [_change(journal, entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SchedulerError(f"{journal}: cannot be read: {error}; its copies are whole files") from error


def _change(journal: Path, entry: Any) -> Change:
    what = File(Path(entry["file"])) if "file" in entry else Crontab(entry["crontab"])
    contents = (
        None if entry[name] is None else read_file(journal / entry[name]) for name in ("before", "after")
    )
    return Change(what, *contents)


# ------------------------------------------------------------------ on disk


def _make(folder: Path) -> None:
    """The folder and those above it, each its parent's owner's: root may do this for somebody else."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700)
        _give(folder)


def _give(path: Path) -> None:
    owner = path.parent.stat()
    with contextlib.suppress(PermissionError):  # ours already, then
        os.chown(path, owner.st_uid, owner.st_gid)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.experience")  # with a dot: cron reads no such file in cron.d


def _replace(path: Path, content: bytes) -> None:
    partial = _partial(path)
    _write(partial, content)
    try:
        found = path.stat()
    except FileNotFoundError:
        _give(partial)
    else:
        partial.chmod(found.st_mode & 0o7777)
        with contextlib.suppress(PermissionError):  # ours already, then
            os.chown(partial, found.st_uid, found.st_gid)
    partial.replace(path)
    _sync(path.parent)


def _write(path: Path, content: bytes) -> None:
    descriptor = open_new(path)
    with open(descriptor, "wb") as file:  # noqa: PTH123  # it is open already
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _crontab(
    crontab: Crontab, verb: str, content: bytes | None = None
) -> "subprocess.CompletedProcess[bytes]":
    user = ["-u", crontab.user] if crontab.user else []
    try:
        return subprocess.run(
            ["crontab", *user, verb], input=content or b"", capture_output=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = "there is no program crontab" if isinstance(error, FileNotFoundError) else str(error)
        raise SchedulerError(f"{reason}; name the crontab's file instead") from error


def _said(done: "subprocess.CompletedProcess[bytes]") -> str:
    return " ".join(done.stderr.decode(errors="replace").split())[:200]
