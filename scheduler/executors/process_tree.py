"""Which live processes belong to a run: by the mark in their environment, or by their process group."""

import asyncio
import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from scheduler.executors.environment import MARK
from scheduler.system import process_info as facts
from scheduler.system.process_info import Running
from scheduler.system.threads import in_thread

_MARK = MARK.encode() + b"="


class ProcessEntry(NamedTuple):
    """A live process, as it was when we looked."""

    pid: int
    born: float
    group: int
    mark: str

    def alive(self) -> bool:
        return facts.alive(Running(self.pid, self.born, 0.0))

    def send(self, number: int) -> None:
        """Signal it, unless its pid has gone to another process meanwhile."""
        if self.alive():
            with contextlib.suppress(OSError):  # gone this instant, or not ours to signal
                os.kill(self.pid, number)


class ProcessTree:
    """Looks at the machine's processes; a hundred that ask at the same moment share one look."""

    def __init__(self) -> None:
        self._looking = asyncio.Lock()
        self._next: asyncio.Future[list[ProcessEntry]] | None = None

    async def of(self, mark: str, leader: Running) -> list[ProcessEntry]:
        """Everybody who bears the mark or is in the leader's group, wherever they went."""
        if self._next is None or self._next.done():  # done: cancelled before it looked
            self._next = asyncio.ensure_future(self._look())
        everybody = await asyncio.shield(self._next)
        reused = any(one.pid == leader.pid and one.born != leader.born for one in everybody)
        group = -1 if reused else leader.pid  # strangers, if the pid was given out anew
        return [one for one in everybody if one.mark == mark or one.group == group]

    async def _look(self) -> list[ProcessEntry]:
        async with self._looking:
            self._next = None  # who asks from here on needs to see what happens from here on
            return await in_thread(_everybody, "census", lambda thread: None)


def _everybody() -> list[ProcessEntry]:
    looked = _from_proc() if Path("/proc/self/environ").exists() else _from_psutil()
    return [one for one in looked if one.pid != os.getpid()]


def _from_proc() -> Iterator[ProcessEntry]:
    for entry in os.listdir("/proc"):  # noqa: PTH208 # a Path for each of them costs as much as the look itself
        if entry.isdigit() and (found := facts.stat(int(entry))) and found.state not in "ZX":
            yield ProcessEntry(int(entry), found.born, found.group, _mark(entry))


def _mark(pid: str) -> str:
    try:
        content = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # gone, or another user's
        return ""
    return _first_marked(content.split(b"\0")) if _MARK in content else ""


def _first_marked(entries: Iterable[bytes]) -> str:
    return next((e[len(_MARK) :].decode("utf-8", "replace") for e in entries if e.startswith(_MARK)), "")


def _from_psutil() -> Iterator[ProcessEntry]:
    import psutil

    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                yield ProcessEntry(pid, facts.born(pid) or 0.0, _group(pid), process.environ().get(MARK, ""))


def _group(pid: int) -> int:
    return os.getpgid(pid) if hasattr(os, "getpgid") else pid
