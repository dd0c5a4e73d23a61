"""The disk of a world: real files in memory, which fill up, which no dead process writes, and which a power
cut may take back to what was synced."""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

WRITES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"})


class Disk:
    """Sees every change that the process under test makes to a file; one at a time is in use.

    `before_write` is called first and may raise: the change is then not made.
    """

    current: "Disk | None" = None
    _hooked = False

    def __init__(self, before_write: Callable[[], None]) -> None:
        self._before_write = before_write
        self.full = False
        self._synced: set[int] = set()  # the numbers of files whose content was
        self._kept: dict[Path, tuple[int, bytes]] = {}  # what would survive, where the folder was, too
        self._patch = patch.object(os, "fsync", self._sync)

    def _sync(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if not stat.S_ISDIR(status.st_mode):
            self._synced.add(status.st_ino)
            return
        folder = Path(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115
        with os.scandir(descriptor) as entries:
            found = [
                (folder / entry.name, entry.inode()) for entry in entries if entry.inode() in self._synced
            ]
        for path, number in found:
            if self._kept.get(path, (0, b""))[0] != number:
                self._kept[path] = number, path.read_bytes()

    def cut(self, forgets: Callable[[], bool]) -> None:
        """The power goes: each file that was renamed and not synced may be the one before."""
        with self.used_by_others():
            for path, (number, content) in self._kept.items():
                if (not path.exists() or path.stat().st_ino != number) and forgets():
                    path.write_bytes(content)
                    self._synced.add(path.stat().st_ino)
                    self._kept[path] = path.stat().st_ino, content

    @contextmanager
    def used_by_others(self) -> Iterator[None]:
        """What is written meanwhile is not written by the process under test."""
        before, Disk.current = Disk.current, None
        yield
        Disk.current = before

    def __enter__(self) -> "Disk":
        self._patch.start()
        Disk.current = self
        if not Disk._hooked:
            Disk._hooked = True
            sys.addaudithook(_hook)
        return self

    def __exit__(self, *error: object) -> None:
        Disk.current = None
        self._patch.stop()

    def check(self, event: str) -> None:
        self._before_write()
        if self.full and event == "open":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if Disk.current is None:
        return
    if event in WRITES or (event == "open" and _writes(arguments[2])):
        Disk.current.check(event)


def _writes(flags: object) -> bool:
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
