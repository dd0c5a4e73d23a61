"""Read and replace small files safely: a pipe in their place, a full disk or a power cut does no harm."""

import contextlib
import errno
import json
import logging
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

log = logging.getLogger("experience.files")

LIMIT = 64 << 20  # bytes: a longer file was not written by this program and is not read
NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # without it, opening a pipe waits for a writer


FileStamp = tuple[int, ...]


class NotRegular(OSError):
    """A pipe, a device, or an endless file in the place of a small file."""


def read_file(path: Path) -> bytes:
    """The content of the file; never blocks on a pipe. Raises OSError, also NotRegular."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | NO_WAIT)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise NotRegular(errno.EINVAL, "is not a regular file", str(path))
        if status.st_size > LIMIT:
            raise NotRegular(errno.EFBIG, f"is longer than {LIMIT >> 20} MiB", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def stamp(path: str) -> FileStamp | None:
    """Changes when the file does, in content, permissions or by being replaced; None if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  # a thousand citizens: three times as fast as Path.stat
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def open_new(path: Path) -> int:
    """A new file to write, for its owner alone; a file, pipe or link of that name is removed first."""
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def read_json(path: Path, default: dict[str, Any]) -> dict[str, Any]:
    """The object in the file; `default` when there is no file or no object in it."""
    try:
        content = json.loads(read_file(path))
    except (OSError, ValueError, RecursionError):
        return default
    return content if isinstance(content, dict) else default


def read_json_for_update(path: Path) -> dict[str, Any]:
    """The object in the file, to be changed and written back; moves an invalid file aside."""
    try:
        content = json.loads(read_file(path))
    except FileNotFoundError:
        return {}
    except (NotRegular, ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        return content
    quarantine(path)
    return {}


def quarantine(path: Path) -> Path:
    """Rename an unreadable file to `NAME.corrupt-TIME`; returns the new path."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.corrupt-{moment}")
    path.replace(aside)
    log.error("file set aside", extra={"path": str(path), "aside": str(aside)})
    return aside


def write_json(path: Path, content: Any) -> None:
    """Replace the file by `content`, whole or not at all; creates its folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(content, indent=2).encode())


def replace_file(path: Path, content: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Replace the file by `content`, whole or not at all; its mode and owner stay.

    A new file gets `mode` and the owner of its folder. `durable`: it survives a power cut, too.
    """
    partial = path.with_name(f".{path.name}.partial")  # with a dot: cron reads no such file in cron.d
    try:
        write_partial(partial, path, content, mode=mode, durable=durable)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def write_partial(
    partial: Path, path: Path, content: bytes, *, mode: int = 0o600, durable: bool = True
) -> os.stat_result:
    """Write the file that will replace `path`, with the mode and owner of that; its status."""
    descriptor = open_new(partial)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - the mode is set at creation
        try:
            before = path.stat()
        except FileNotFoundError:
            before = path.parent.stat()
        else:
            mode = stat.S_IMODE(before.st_mode)
        os.fchmod(descriptor, mode)
        _give(descriptor, before)
        file.write(content)
        file.flush()
        if durable:
            os.fsync(descriptor)
        return os.fstat(descriptor)


def give_to_owner_of(other: Path, path: Path) -> None:
    """Give the file to the owner of `other`; only root can, and only root needs to."""
    _give(path, other.stat())


def _give(file: int | Path, owner: os.stat_result) -> None:
    with contextlib.suppress(PermissionError):
        os.chown(file, owner.st_uid, owner.st_gid)


def sync(path: Path) -> None:
    """Sync the file, or the names in the folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_home(home: Path) -> None:
    """Raise FileNotFoundError if the home is gone: a removed home must not come back."""
    if not home.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(home))


def file_id(path: Path) -> tuple[int, int] | None:
    """Identifies the file at this path now; None if there is none."""
    try:
        status = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return status.st_dev, status.st_ino
