"""Unpacks a backup's .tar.gz into an empty folder, as it was: times, modes, links, holes."""

import os
import re
import stat
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from scheduler.errors import TaskFailed
from scheduler.handlers.offsite_backup.archive import Damaged, members


def unpack(archive: Path, to: Path) -> None:
    """Everything in the archive; raises TaskFailed if it is damaged, and `to` is then incomplete."""
    folders: list[tarfile.TarInfo] = []
    links: list[tarfile.TarInfo] = []
    try:
        for info, content in members(archive):
            _check(info)
            if info.issym():
                links.append(info)  # last, so that nothing is written through one
            else:
                _make(info, content, to)
            if info.isdir():
                folders.append(info)
        for info in links:
            Path(to, info.name).symlink_to(info.linkname)
            _restore_metadata(info, to)
        for info in reversed(folders):  # what is put into a folder changes its time
            _restore_metadata(info, to)
    except Damaged as error:
        raise TaskFailed(f"the backup is damaged, {to} is incomplete: {error}; try an older one") from error


def _check(info: tarfile.TarInfo) -> None:
    for name in (info.name, info.linkname) if info.islnk() else (info.name,):
        if name.startswith("/") or ".." in name.split("/"):
            raise Damaged(f"{name} does not lie inside the folder")


def _make(info: tarfile.TarInfo, content: Iterator[bytes], to: Path) -> None:
    path = to / info.name
    if info.isdir():
        path.mkdir(mode=0o700)
        return
    if info.islnk():
        path.hardlink_to(to / info.linkname)
        return
    if info.isfifo():
        os.mkfifo(path, 0o600)
    elif info.isreg():
        _write(path, info.size, content)
    else:
        raise Damaged(f"{info.name} is of a kind that no backup holds")
    _restore_metadata(info, to)


def _write(path: Path, size: int, content: Iterable[bytes]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "wb", buffering=0) as file:  # noqa: PTH123 - the mode is set at creation
        for chunk in content:
            if chunk.count(0) == len(chunk):
                file.seek(len(chunk), os.SEEK_CUR)  # a hole
            else:
                _write_all(file.fileno(), chunk)
        file.truncate(size)


def _write_all(handle: int, chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:
        left = left[os.write(handle, left) :]


def _restore_metadata(info: tarfile.TarInfo, to: Path) -> None:
    """Owner, where allowed, then mode, then time: each would change the next."""
    path = to / info.name
    if os.geteuid() == 0:
        os.chown(path, info.uid, info.gid, follow_symlinks=False)
    if not info.issym():
        path.chmod(stat.S_IMODE(info.mode))
    when = nanoseconds(info)
    os.utime(path, ns=(when, when), follow_symlinks=False)


def nanoseconds(info: tarfile.TarInfo) -> int:
    """When the entry was changed last; the header has it exactly, as text."""
    found = re.fullmatch(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?", info.pax_headers.get("mtime", ""))
    if found is None:
        return int(info.mtime * 10**9)
    size = int(found[2]) * 10**9 + int((found[3] or "").ljust(9, "0"))
    return -size if found[1] else size
