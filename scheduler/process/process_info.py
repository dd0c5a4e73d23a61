"""Processes: when one was started, and whether it is still the same one."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
LINUX = sys.platform == "linux"


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


NO_PROCESS = 0  # of this machine: the pid of a run that a worker carries, or that has ended
BOOT = _boot()  # pids and start times begin again with each boot of the machine; "" where they have no names


@dataclass(slots=True, unsafe_hash=True)  # frozen by agreement: made for every run, as in core/values
class Running:
    """The process of a run; `born` distinguishes it from a later process with the same pid."""

    pid: int
    born: float
    since: float
    boot: str = ""  # of the machine; "" where that is not known


class Stat(NamedTuple):
    """The few fields of /proc/PID/stat that matter here."""

    state: str
    parent: int
    group: int
    session: int
    born: float


def born(pid: int) -> float | None:
    """When the process was started, a constant number while it lives; None if there is none.

    On Linux it is in clock ticks since the machine started, which no setting of the clock can change.
    """
    if LINUX:
        found = stat(pid)
        return found.born if found else None
    return _created(pid)


def alive(running: Running) -> bool:
    """Whether this very process still runs: a later one with its pid does not count, nor does a zombie."""
    if running.boot and running.boot != BOOT:
        return False
    if not LINUX:
        created = _created(running.pid)
        return created is not None and abs(created - running.born) < 1.0  # other clocks are set now and then
    found = stat(running.pid)
    return found is not None and found.born == running.born and found.state not in "ZX"


def stat(pid: int) -> Stat | None:
    """The process as the kernel sees it; Linux only."""
    try:
        line = (_PROC / str(pid) / "stat").read_bytes()
    except (OSError, ValueError):
        return None
    fields = line[line.rindex(b")") + 2 :].split()  # the name before it may hold blanks and brackets
    return Stat(fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3]), float(fields[19]))


def pids() -> list[int]:
    """All processes of the machine."""
    if LINUX:
        return [int(each.name) for each in _PROC.iterdir() if each.name.isdigit()]
    import psutil

    return psutil.pids()


def name(pid: int) -> str:
    """The name of its program, "" if that is not known."""
    try:
        return (_PROC / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        return ""


def command_line(pid: int) -> bytes:
    """Its program and arguments, each with a NUL after it; empty if that is not known."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def _created(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except (psutil.Error, ValueError):
        return None
