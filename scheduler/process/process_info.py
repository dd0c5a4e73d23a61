"""Looks processes up: when one was started, and whether it is still the same one."""

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


NO_PROCESS = 0  # the pid of a run without a process on this machine: a worker carries it, or it has ended
BOOT = _boot()  # the id of this boot, since pids and start times start over at each; "" if unknown


@dataclass(slots=True, unsafe_hash=True)  # frozen by agreement: made for every run, as in core/values
class Running:
    """The process of a run; `born` distinguishes it from a later process with the same pid."""

    pid: int
    born: float
    since: float
    boot: str = ""  # see BOOT


class Stat(NamedTuple):
    """The few fields of /proc/PID/stat that matter here."""

    state: str
    parent: int
    group: int
    session: int
    born: float


def born(pid: int) -> float | None:
    """The start time of the process, constant while it lives; None if there is no such process.

    On Linux this counts clock ticks since the machine started, so setting the clock does not change it.
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
        return created is not None and abs(created - running.born) < 1.0  # these shift when the clock is set
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
    """The name of the process's program, "" if unknown."""
    try:
        return (_PROC / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        return ""


def command_line(pid: int) -> bytes:
    """The process's program and arguments, each followed by a NUL; empty if unknown."""
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
