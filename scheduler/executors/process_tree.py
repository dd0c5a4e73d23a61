"""Finds the live processes of a run by the mark in their environment or by their process group."""

import asyncio
import contextlib
import os
from typing import Any, NamedTuple

from scheduler.executors.environment import MARK
from scheduler.system import process_info as facts
from scheduler.system.process_info import Running
from scheduler.system.threads import in_thread


class ProcessEntry(NamedTuple):
    """A live process at the time of a scan."""

    pid: int
    born: float
    group: int
    mark: str

    def alive(self) -> bool:
        return facts.alive(Running(self.pid, self.born, 0.0))

    def send(self, number: int) -> None:
        """Signal it, unless its pid belongs to another process meanwhile."""
        if self.alive():
            with contextlib.suppress(OSError):  # gone, or of another user
                os.kill(self.pid, number)


class ProcessTree:
    """Scans the machine's processes; a hundred requests at the same moment share one scan."""

    def __init__(self) -> None:
        self._looking = asyncio.Lock()
        self._next: asyncio.Future[list[ProcessEntry]] | None = None

    async def of(self, mark: str, leader: Running) -> list[ProcessEntry]:
        """The processes with this mark or in the leader's group."""
        if self._next is None or self._next.done():  # done: cancelled before it scanned
            self._next = asyncio.ensure_future(self._look())
        everybody = await asyncio.shield(self._next)
        reused = any(one.pid == leader.pid and one.born != leader.born for one in everybody)
        group = -1 if reused else leader.pid  # strangers, if the pid was reused
        return [one for one in everybody if one.mark == mark or one.group == group]

    async def _look(self) -> list[ProcessEntry]:
        async with self._looking:
            self._next = None  # later requests need a later scan
            return await in_thread(_everybody, "census", lambda thread: None)


def _everybody() -> list[ProcessEntry]:
    import psutil  # 10 ms that only a run which has to be stopped pays

    found = []
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):  # gone meanwhile
            process = psutil.Process(pid)
            if pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(ProcessEntry(pid, facts.born(pid) or 0.0, _group(pid), _mark(process)))
    return found


def _mark(process: Any) -> str:
    import psutil

    try:
        return str(process.environ().get(MARK, ""))
    except psutil.Error:  # another user's
        return ""


def _group(pid: int) -> int:
    return os.getpgid(pid) if hasattr(os, "getpgid") else pid
