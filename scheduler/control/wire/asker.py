"""Who is at the other end of a connection, by what the kernel and this process know, not by its own claim."""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from scheduler.engine.run import RunHandle
from scheduler.errors import SchedulerError
from scheduler.executors.process_tree import OUTSIDE, Origin, line_of
from scheduler.process.process_info import BOOT, Running, alive, born, command_line, name
from scheduler.process.threads import in_thread
from scheduler.process.who import UNKNOWN_RUN, Who, this_process, user_name
from scheduler.system.unix_socket import Peer, owners_among

OriginOf = Callable[[int], Awaitable[Origin]]
TAB = b"tui.serve.monitor"  # the program behind a browser tab


async def outside(pid: int) -> Origin:
    """The origin of a client, for an owner that runs no processes."""
    return OUTSIDE


class RemoteAsker:
    """A client on another machine; it is believed, since it may use the database."""

    def __init__(self, claimed: str) -> None:
        self._who = Who(user=claimed)

    async def who(self) -> Who:
        return self._who


class Asker:
    """The client of one connection to this citizen's owner."""

    def __init__(self, citizen: str, peer: Peer | None, origin: OriginOf) -> None:
        self._citizen, self._peer, self._origin = citizen, peer, origin
        self._who: Who | None = None
        # Read when it connects: the pid of a process that has ended may be reused.
        self._process = Running(peer.pid, born(peer.pid) or 0.0, 0.0, BOOT) if peer and peer.pid else None

    async def who(self) -> Who:
        """Return who asks; raises SchedulerError if its process is gone: a run could hide behind one."""
        if self._who is None:
            self._who = await self._found()
        if self._process and not alive(self._process):
            gone = f"pid {self._process.pid}, which connected, has ended"
            raise SchedulerError(f"{gone}: ask from a process that lives until the answer comes")
        return self._who

    async def _found(self) -> Who:
        if self._peer is None:  # the system does not report peers
            return Who(this_process().user)
        if self._process is None:  # it is in a pid namespace that this process cannot see
            return Who(user_name(self._peer.uid))
        run = self._run(await self._origin(self._process.pid))
        return await in_thread(partial(_described, self._peer, run), "asker", lambda thread: None)

    def _run(self, origin: Origin) -> str:
        if not origin.inside:
            return ""
        if not isinstance(origin.run, RunHandle):
            return UNKNOWN_RUN
        of = f" of {origin.run.citizen}" if origin.run.citizen != self._citizen else ""
        return f"{origin.run.title}{of}"


def _described(peer: Peer, run: str) -> Who:
    run = run or _run_of_another_owner(peer.pid)
    browser = not run and TAB in command_line(peer.pid)
    return Who(user_name(peer.uid), name(peer.pid), peer.pid, run, browser)


def this_asker() -> Who:
    """Who asks through this process: the run that it descends from, whatever its environment says.

    Blocks. A process of a run that has lost all its parents is known only by its environment.
    """
    who, line = this_process(), line_of(os.getppid())
    if line is None or line.ours:
        return who
    found = _run_below_an_owner(
        [(os.getpid(), os.getsid(0)), *((one.pid, one.session) for one in line.members)]
    )
    of = found.removeprefix(UNKNOWN_RUN)
    return replace(who, run=found) if found and not (who.run and who.run.endswith(of)) else who


def _run_of_another_owner(pid: int) -> str:
    """The run of another owner from which the process descends; empty in that owner's own session."""
    line = line_of(pid)
    if line is None or line.ours:
        return ""
    return _run_below_an_owner([(one.pid, one.session) for one in line.members])


def _run_below_an_owner(line: Sequence[tuple[int, int]]) -> str:
    """The run of the first process in `line`: pids with their sessions, each followed by its parent."""
    pids = [pid for pid, _ in line]
    for owner, citizen in owners_among(pids[1:]).items():
        place = pids.index(owner)
        if line[place - 1][1] != line[place][1]:
            return f"{UNKNOWN_RUN} of {citizen or f'pid {owner}'}"
    return ""
