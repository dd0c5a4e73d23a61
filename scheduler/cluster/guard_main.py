"""The guard's own process: when the leases of a frozen, cut off or dead owner end, it kills the runs."""

import os
import select
import signal
import sys

from scheduler.executors.process_tree import Family, Identity, ProcessEntry, all_processes, descendants
from scheduler.process.process_info import Running, alive
from scheduler.system.clock import elapsed

LOOK = 0.05  # seconds between two attempts to kill what still lives
CALM = 1.0  # seconds between two scans of the processes, at most
READY, CLOSED = b"ready\n", b"closed"


class Ward:
    """The owner's runs, with all processes seen that they started."""

    def __init__(self, owner: Running) -> None:
        self._owner = owner
        self._families: list[Family] = []
        self._strays: frozenset[Identity] = frozenset()  # in no family, but descendants of the owner

    @property
    def busy(self) -> bool:
        return bool(self._families or self._strays)

    def add(self, leader: Running) -> None:
        """Add a run that the owner starts."""
        mark = next((one.mark for one in all_processes() if one.identity == (leader.pid, leader.born)), "")
        self._families.append(Family(mark, leader))

    def look(self) -> list[ProcessEntry]:
        """Return the living processes of all runs; known ones are kept, since they may lose their parent."""
        machine = all_processes()
        found = {family: family.members(machine) for family in self._families}
        self._families = [
            family._replace(seen=frozenset(one.identity for one in members))
            for family, members in found.items()
            if members
        ]
        below = descendants([self._owner.pid], machine) if alive(self._owner) else set()
        inside = below | {one.pid for members in found.values() for one in members}
        inside |= {one.pid for one in machine if one.identity in self._strays}
        inside -= {1, os.getpid(), self._owner.pid}
        entries = [one for one in machine if one.pid in inside]
        self._strays = frozenset(one.identity for one in entries)
        return entries

    def end(self, *, calls: int = 0) -> bool:
        """Kill the runs, and the owner if handlers (`calls`) still run inside it: nothing else ends those.

        Return whether there was anything to kill.
        """
        if calls and alive(self._owner):
            os.kill(self._owner.pid, signal.SIGKILL)
        left = self.look()
        for one in left:
            one.send(signal.SIGKILL)
        return bool(left)


def main(pid: str, born: str) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the guard ends with its owner, not with a terminal
    ward = Ward(Running(int(pid), float(born), 0.0))
    deadline, calls, unread, pause = float("inf"), 0, b"", LOOK
    os.write(1, READY)
    while True:
        wait = pause if elapsed() >= deadline else min(CALM, max(0.0, deadline - elapsed()))
        if not select.select([0], [], [], wait)[0]:
            if elapsed() >= deadline:
                pause = LOOK if ward.end(calls=calls) else CALM
            elif ward.busy:
                ward.look()
            continue
        data = os.read(0, 65536)
        *lines, unread = (unread + data).split(b"\n")
        for line in lines:
            kind, *values = line.split()
            if kind == CLOSED:
                return
            if kind == b"run":
                ward.add(Running(int(values[0]), float(values[1]), 0.0))
            elif kind == b"calls":
                calls = int(values[0])
            else:
                deadline, calls = float(values[0]), int(values[1])
                ward.look()
        if not data:  # the owner died
            ward.end()
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
