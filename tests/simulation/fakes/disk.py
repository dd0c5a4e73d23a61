"""The disk of a world: real files in memory, which fill up, and which no dead process writes."""

import errno
import os
import sys
from collections.abc import Callable

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

    def __enter__(self) -> "Disk":
        Disk.current = self
        if not Disk._hooked:
            Disk._hooked = True
            sys.addaudithook(_hook)
        return self

    def __exit__(self, *error: object) -> None:
        Disk.current = None

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
