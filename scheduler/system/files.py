"""Small JSON files of a home: read whatever is there, replace them whole."""

import errno
import json
import logging
import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

log = logging.getLogger("experience.files")

LIMIT = 64 << 20  # bytes: what is longer was not written here, and is not read into memory
NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # opening a pipe in place of a file would wait for ever


class NotOrdinary(OSError):
    """A pipe, a device, or a file without end in place of one of ours."""


def read_file(path: Path) -> bytes:
    """What is in the file; raises OSError, NotOrdinary too: one odd home must hold nobody up."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | NO_WAIT)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise NotOrdinary(errno.EINVAL, "is no ordinary file", str(path))
        if found.st_size > LIMIT:
            raise NotOrdinary(errno.EFBIG, f"is longer than {LIMIT >> 20} MiB", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def open_new(path: Path) -> int:
    """A new file to write, for its owner alone; what has its name, be it a pipe or a link, goes first."""
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def read_json(path: Path, default: dict[str, Any]) -> dict[str, Any]:
    """The object in the file; `default` when there is none or it is no object."""
    try:
        content = json.loads(read_file(path))
    except (OSError, ValueError, RecursionError):
        return default
    return content if isinstance(content, dict) else default


def read_json_for_update(path: Path) -> dict[str, Any]:
    """The object in the file, to be written back; what is no object is set aside, not lost."""
    try:
        content = json.loads(read_file(path))
    except FileNotFoundError:
        return {}
    except (NotOrdinary, ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        return content
    quarantine(path)
    return {}


def quarantine(path: Path) -> Path:
    """Move a file that cannot be understood out of the way, under a name that says so."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.corrupt-{moment}")
    path.replace(aside)
    log.error("file set aside", extra={"path": str(path), "aside": str(aside)})
    return aside


def write_json(path: Path, content: Any) -> None:
    """Replace the file by `content`, whole or not at all; a new file is readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(content, indent=2).encode())


def replace_file(path: Path, content: bytes) -> None:
    """Replace the file by `content`, whole or not at all: it keeps its mode and owner, on disk at once.

    A new file is readable by its owner alone, who is that of the folder.
    """
    partial = path.with_name(f".{path.name}.partial")  # with a dot: cron reads no such file in cron.d
    descriptor = open_new(partial)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - it is open already
        file.write(content)
        if path.exists():
            os.fchmod(descriptor, stat.S_IMODE(path.stat().st_mode))
        give_to_owner_of(path if path.exists() else path.parent, partial)
        file.flush()
        os.fsync(descriptor)
    partial.replace(path)
    sync_folder(path.parent)


def give_to_owner_of(other: Path, path: Path) -> None:
    """Root may write for another user; for anyone else the file is theirs already."""
    owner = other.stat()
    with suppress(PermissionError):
        os.chown(path, owner.st_uid, owner.st_gid)


def sync_folder(folder: Path) -> None:
    """Put new, renamed and removed names of a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_home(home: Path) -> None:
    """Raise FileNotFoundError if the home is gone: who took it away does not want it made again."""
    if not home.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(home))


def file_id(path: Path) -> tuple[int, int] | None:
    """Which file is there at this moment; None if there is none."""
    try:
        status = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return status.st_dev, status.st_ino
