"""Finds the live processes of a run by mark, session, output, descent, or an earlier sighting."""

import asyncio
import contextlib
import os
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from scheduler.executors.environment import MARK
from scheduler.process import process_info as facts
from scheduler.process.process_info import Running
from scheduler.process.threads import in_thread

Identity = tuple[int, float]  # pid and start
LOOKS = 20  # attempts at reading a line while its processes come and go


class Origin(NamedTuple):
    """Where a process came from: whether from `inside` a run, and which one if that is known."""

    inside: bool = False
    run: object = None  # its listener


OUTSIDE = Origin()


class ProcessEntry(NamedTuple):
    """A live process at the time of a scan."""

    pid: int
    born: float
    parent: int
    group: int
    session: int
    mark: str
    outputs: tuple[int, ...] = ()  # the inodes of its standard output and error

    @property
    def identity(self) -> Identity:
        return self.pid, self.born

    def alive(self) -> bool:
        return facts.alive(Running(self.pid, self.born, 0.0))

    def send(self, number: int) -> None:
        """Signal the process, unless its pid now belongs to another one."""
        if self.alive():
            with contextlib.suppress(OSError):  # gone, or of another user
                os.kill(self.pid, number)


class Family(NamedTuple):
    """The signs of a run's processes, enough to find them after changes of session, user or environment."""

    mark: str
    leader: Running
    pipe: int = -1  # the inode of its output
    seen: Collection[Identity] = ()

    def members(self, processes: Collection[ProcessEntry]) -> list[ProcessEntry]:
        """The processes that show one of these signs, and all their descendants."""
        leader = self.leader
        reused = any(one.pid == leader.pid and one.born != leader.born for one in processes)
        group = -1 if reused else leader.pid  # a reused pid leads a foreign group
        signs = {
            one.pid
            for one in processes
            if (self.mark and one.mark == self.mark)  # an empty mark would match all others
            or group in (one.group, one.session)
            or self.pipe in one.outputs
            or one.identity in self.seen
        }
        inside = descendants(signs, processes)
        return [one for one in processes if one.pid in inside]


def descendants(roots: Iterable[int], processes: Iterable[ProcessEntry]) -> set[int]:
    """The pids of these processes and of all their present descendants."""
    children = defaultdict(list)
    for one in processes:
        children[one.parent].append(one.pid)
    inside, new = set(roots), list(roots)
    while new:
        found = [pid for pid in children[new.pop()] if pid not in inside]
        inside.update(found)
        new += found
    return inside


class ProcessTree:
    """Scans the machine's processes; a hundred requests at the same moment share one scan."""

    def __init__(self) -> None:
        self._looking = asyncio.Lock()
        self._next: asyncio.Future[list[ProcessEntry]] | None = None

    async def of(self, family: Family) -> list[ProcessEntry]:
        """The processes of this family."""
        if self._next is None or self._next.done():  # done: cancelled before it scanned
            self._next = asyncio.ensure_future(self._look())
        return family.members(await asyncio.shield(self._next))

    async def _look(self) -> list[ProcessEntry]:
        async with self._looking:
            self._next = None  # later requests need a later scan
            return await in_thread(all_processes, "census", lambda thread: None)


def line_of(pid: int) -> "Line | None":
    """The process with its ancestors; None if it is gone, or if they keep changing."""
    lines = (_line_of(pid) for _ in range(LOOKS))
    return next((line for line in lines if line), None)


def _line_of(pid: int) -> "Line | None":
    look, line = _from_proc if facts.LINUX else _from_psutil, list[ProcessEntry]()
    while pid > 1 and pid != os.getpid():
        one = look(pid)
        if one is None or (line and one.born > line[-1].born):  # gone, or its pid was reused
            return None
        line.append(one)
        pid = one.parent
    return Line(tuple(line), pid == os.getpid()) if line else None


class Line(NamedTuple):
    """A process, its parent and so on; `ours`: the parent of the last one is this process."""

    members: tuple[ProcessEntry, ...]
    ours: bool


def all_processes() -> list[ProcessEntry]:
    """Every living process of the machine but this one; blocks."""
    look = _from_proc if facts.LINUX else _from_psutil
    found = (look(pid) for pid in facts.pids() if pid != os.getpid())
    return [one for one in found if one is not None]


def _from_proc(pid: int) -> ProcessEntry | None:
    found = facts.stat(pid)
    if found is None or found.state in "ZX":
        return None
    folder = Path(f"/proc/{pid}")
    outputs = tuple(inode for name in ("1", "2") if (inode := _inode(folder / "fd" / name)))
    mark = _mark(folder / "environ")
    return ProcessEntry(pid, found.born, found.parent, found.group, found.session, mark, outputs)


def _mark(environ: Path) -> str:
    with contextlib.suppress(OSError):  # gone, or another user's
        _, found, rest = (b"\0" + environ.read_bytes()).partition(f"\0{MARK}=".encode())
        return rest.partition(b"\0")[0].decode(errors="replace") if found else ""
    return ""


def _inode(file: Path) -> int:
    with contextlib.suppress(OSError):
        return file.stat().st_ino
    return 0


def _from_psutil(pid: int) -> ProcessEntry | None:
    import psutil  # 10 ms that only a run which has to be stopped pays

    mark = ""
    with contextlib.suppress(psutil.Error, OSError):  # it has ended
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        with contextlib.suppress(psutil.Error):  # another user's
            mark = str(process.environ().get(MARK, ""))
        group, session = (os.getpgid(pid), os.getsid(pid)) if hasattr(os, "getsid") else (pid, pid)
        return ProcessEntry(pid, facts.born(pid) or 0.0, process.ppid(), group, session, mark)
    return None
