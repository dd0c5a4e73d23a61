"""Read and replace small files so that a pipe in their place, a full disk or a power cut does no harm."""

import errno
import json
import logging
import os
import stat
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scheduler.system.foreign_home import Place, Refused, closed_after, open_file, place, rename
from scheduler.system.hanging_disks import require_disk

log = logging.getLogger("experience.files")

LIMIT = 64 << 20  # bytes: a longer file was not written by this program and is not read


FileStamp = tuple[int, ...]


class NotRegular(OSError):
    """A pipe, a device, or an endless file in the place of a small file."""


class NotDurable(OSError):
    """The file was replaced, but a power cut may undo that."""


def read_file(
    path: Path,
    *,
    only_ours: bool = False,
    or_of: Collection[int] = (),
    follow: bool = True,
    most: int = LIMIT,
) -> bytes:
    """The content of the file; never blocks on a pipe. Raises OSError, of which NotRegular is one.

    `only_ours` refuses a file that another user wrote, except the users `or_of`. Without `follow` any link is
    refused, and so are more than `most` bytes: JSON takes thirty times its size in memory.
    """
    with closed_after(open_file(path, os.O_RDONLY, follow=follow)) as descriptor:
        status = os.fstat(descriptor)
        if only_ours and status.st_uid != os.geteuid() and status.st_uid not in or_of:
            raise Refused("another user's", path)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise NotRegular(errno.EINVAL, "is not a regular file", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            content = b"" if status.st_size > most else file.read(status.st_size + 1)
            if status.st_size < len(content):  # it grows; read(most) would always take that much memory
                content += file.read(most)
        if max(len(content), status.st_size) > most:
            raise NotRegular(errno.EFBIG, f"is longer than {_in_words(most)}", str(path))
        return content


def _in_words(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"


def allowed(path: Path, mode: int) -> bool:
    """Whether this process has the access `mode`, such as os.R_OK, to what is there."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def stamp(path: str) -> FileStamp | None:
    """A value that changes when the file is written, replaced or gets other permissions; None if missing."""
    if not os.access(path, os.F_OK):  # most are missing: half the time of a stat that raises
        return None
    try:
        found = os.stat(path)  # noqa: PTH116  # a thousand citizens: three times as fast as Path.stat
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def read_json(path: Path, default: dict[str, Any]) -> dict[str, Any]:
    """The object in the file; `default` when there is no file, no object in it, or it cannot be read."""
    try:
        content = json.loads(read_file(path))
    except (OSError, ValueError, RecursionError):
        return default
    return content if isinstance(content, dict) else default


def read_json_to_keep(path: Path) -> dict[str, Any]:
    """The object in the file, empty if there is none; raises OSError for a file that cannot be read."""
    try:
        content = json.loads(read_file(path))
    except (FileNotFoundError, IsADirectoryError, NotRegular, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


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
    aside = rename(path, f"{path.name}.corrupt-{moment}")
    log.error("file set aside", extra={"path": str(path), "aside": str(aside)})
    return aside


def write_json(path: Path, content: Any) -> None:
    """Replace the file by `content`, whole or not at all; creates its folder if needed."""
    replace_file(path, json.dumps(content, indent=2).encode(), make=True)


def replace_file(
    path: Path,
    content: bytes,
    *,
    mode: int = 0o600,
    durable: bool = True,
    make: bool = False,
    writer: str = "",
) -> None:
    """Replace the file by `content`, whole or not at all; keeps its mode and owner, and a link to it.

    Raises OSError: NotDurable if only the folder cannot be synced.
    A new file gets `mode` and the owner of its folder, which `make` creates. `durable`: survives a power cut.
    Where several may write at once, each passes its own name as `writer`.
    """
    with place(path, make=make, follow=True) as at:
        own = f".{writer}" if writer else ""
        partial = at.beside(f".{path.name}{own}.partial")  # with a dot, so that cron ignores it in cron.d
        try:
            write_partial(partial, at, content, mode=mode, durable=durable)
            partial.replace(at)
        except OSError:
            partial.remove()
            raise
        if durable:
            try:
                at.sync_folder()
            except OSError as error:
                raise NotDurable(error.errno, error.strerror, str(path)) from error


def write_partial(
    partial: Place, final: Place, content: bytes, *, mode: int = 0o600, durable: bool = True
) -> os.stat_result:
    """Write the file that will replace `final`, with the same mode and owner; returns its status."""
    partial.remove()
    descriptor = partial.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - the mode is set at creation
        before = final.status()
        os.fchmod(descriptor, mode if before is None else before.st_mode & 0o777)
        if before is not None and before.st_nlink == 1:  # with a second name it may be another user's file
            with suppress(PermissionError):
                os.fchown(descriptor, before.st_uid, before.st_gid)
        file.write(content)
        file.flush()
        if durable:
            os.fsync(descriptor)
        return os.fstat(descriptor)


def require_home(home: Path) -> None:
    """Raise FileNotFoundError if the home is gone, since it must not come back; OSError if its disk hangs."""
    require_disk(home)
    if not home.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(home))


def file_id(path: Path | str) -> tuple[int, int] | None:
    """The identity of the file at this path now; None if there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
