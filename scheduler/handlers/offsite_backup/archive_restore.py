"""Unpacks a backup's .tar.gz into an empty folder with its times, modes, links and holes.

The agent whose home it is could put anything into it, so nothing goes through a link and no file is setuid.
"""

import errno
import hashlib
import os
import re
import stat
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scheduler.errors import TaskFailed
from scheduler.handlers.offsite_backup.archive import CHUNK, DIGEST, Damaged, digest_of, end_of, members
from scheduler.system.foreign_home import Place, User, below, closed_after, open_folder

SET_ID = stat.S_ISUID | stat.S_ISGID  # harmless on folders, where setgid only passes on the group


def unpack(archive: Path, to: Path, owner: User | None = None) -> bool:
    """Unpack the archive and give it to `owner`; whether it holds hashes, which are then compared.

    Raises TaskFailed if the archive is damaged; `to` is then incomplete.
    """
    folders: list[tarfile.TarInfo] = []
    links: list[tarfile.TarInfo] = []
    digests, end = DIGEST(), bytearray()
    try:
        with open_folder(to) as at:
            unpacker = _Unpacker(at, owner)
            for info, content in members(archive, end):
                if info.issym():
                    links.append(info)  # last, so that nothing is written through one
                found = DIGEST() if info.issym() else unpacker.make(info, content)
                digests.update(digest_of(info, found))
                if info.isdir():
                    folders.append(info)
            for info in links:
                unpacker.link(info)
            for info in reversed(folders):  # last, since new files change a folder's time
                unpacker.finish(info)
        if end and bytes(end) != end_of(digests):
            raise Damaged("its hashes are not those of when it was made")
    except Damaged as error:
        raise TaskFailed(f"the backup is damaged, {to} is incomplete: {error}; try an older one") from error
    return bool(end)


class _Unpacker:
    """Makes entries below an open folder, by descriptors."""

    def __init__(self, to: Place, owner: User | None) -> None:
        self._to, self._owner = to, owner

    def make(self, info: tarfile.TarInfo, content: Iterator[bytes]) -> "hashlib._Hash":
        """Make the file, folder, hard link or pipe; returns the hash of what is on disk now."""
        found = DIGEST()
        with self._place(info.name) as at:
            if info.isdir():
                os.mkdir(at.name, 0o700, dir_fd=at.folder)
            elif info.islnk():
                self._link_hard(info, at)
            elif info.isfifo():
                os.mkfifo(at.name, 0o600, dir_fd=at.folder)
                self._finish(info, at)
            elif info.isreg():
                found = self._write(info, at, content)
            else:
                raise Damaged(f"{info.name} is of a kind that no backup holds")
        return found

    def link(self, info: tarfile.TarInfo) -> None:
        with self._place(info.name) as at:
            os.symlink(info.linkname, at.name, dir_fd=at.folder)
            if self._owner:
                os.chown(at.name, *self._owner, dir_fd=at.folder, follow_symlinks=False)
            os.utime(at.name, ns=(nanoseconds(info),) * 2, dir_fd=at.folder, follow_symlinks=False)

    def finish(self, info: tarfile.TarInfo) -> None:
        with self._place(info.name) as at:
            self._finish(info, at)

    @contextmanager
    def _place(self, name: str) -> Iterator[Place]:
        if name.startswith("/") or ".." in name.split("/"):
            raise Damaged(f"{name} does not lie inside the folder")
        try:
            with below(self._to, name) as at:
                yield at
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise Damaged(f"{name} lies below a link") from error
            raise

    def _link_hard(self, info: tarfile.TarInfo, at: Place) -> None:
        with self._place(info.linkname) as first:
            os.link(
                *(first.name, at.name), src_dir_fd=first.folder, dst_dir_fd=at.folder, follow_symlinks=False
            )

    def _write(self, info: tarfile.TarInfo, at: Place, content: Iterable[bytes]) -> "hashlib._Hash":
        descriptor = at.open(os.O_RDWR | os.O_CREAT | os.O_EXCL)
        with open(descriptor, "r+b", buffering=0) as file:  # noqa: PTH123 - the mode is set at creation
            for chunk in content:
                if chunk.count(0) == len(chunk):
                    file.seek(len(chunk), os.SEEK_CUR)  # a hole
                else:
                    _write_all(descriptor, chunk)
            file.truncate(info.size)
            self._dress(info, descriptor)
            return _hash_of(descriptor)

    def _finish(self, info: tarfile.TarInfo, at: Place) -> None:
        with closed_after(at.open(os.O_RDONLY)) as descriptor:
            self._dress(info, descriptor)

    def _dress(self, info: tarfile.TarInfo, descriptor: int) -> None:
        """Set user, mode and time in this order, since each changes the next."""
        if self._owner:
            os.fchown(descriptor, *self._owner)
        os.fchmod(descriptor, stat.S_IMODE(info.mode) & ~(stat.S_ISUID if info.isdir() else SET_ID))
        os.utime(descriptor, ns=(nanoseconds(info),) * 2)


def _hash_of(descriptor: int) -> "hashlib._Hash":
    found, place = DIGEST(), 0
    while chunk := os.pread(descriptor, CHUNK, place):
        found.update(chunk)
        place += len(chunk)
    return found


def _write_all(handle: int, chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:
        left = left[os.write(handle, left) :]


def nanoseconds(info: tarfile.TarInfo) -> int:
    """The time of the entry's last change, exactly as the header has it in text."""
    found = re.fullmatch(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?", info.pax_headers.get("mtime", ""))
    if found is None:
        return int(info.mtime * 10**9)
    size = int(found[2]) * 10**9 + int((found[3] or "").ljust(9, "0"))
    return -size if found[1] else size
