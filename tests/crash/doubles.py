"""Two monitors that open at the same instant, again and again: `python -m tests.crash.doubles --times 100`.

Everything is imported before the first fork, so that two monitors in terminals of their own begin within a
millisecond of each other; the tasks themselves log which scheduler started them.
"""

import argparse
import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

# Everything a monitor imports, before the first fork.
import filelock  # noqa: F401

import scheduler.control.fleet  # noqa: F401
import tui.app  # noqa: F401
from scheduler.storage.lock import owner_of
from tests.crash.loops import Place, command
from tui.__main__ import main as open_monitor

PATIENCE = 30.0  # seconds for anything that is waited for
MORE_RUNS = 5  # once both show who owns the citizen
LOG = "echo start $PPID >> runs.log; sleep 0.02; echo end $PPID >> runs.log"


class Wrong(Exception):
    """A rule did not hold."""


class Monitor:
    """A forked monitor at one end of a terminal; begins when the gate is opened."""

    def __init__(self, place: Place, gate: int) -> None:
        self.painted = b""
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.environ.update(place.environment(), TERM="xterm-256color")
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
            os.read(gate, 1)
            become_monitor()

    def read(self, seconds: float) -> None:
        if select.select([self._terminal], [], [], seconds)[0]:
            with contextlib.suppress(OSError):  # the other end is closed
                self.painted += os.read(self._terminal, 1 << 20)

    def end(self) -> int:
        """Its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while (ended := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > deadline:
                raise Wrong(f"pid {self.pid} does not end")
            self.read(0.02)
        os.close(self._terminal)
        return ended[1]


def become_monitor() -> None:
    """What the console script does, in a process that was forked; never returns."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):  # the parent's may be no terminal
        stream = os.fdopen(number, "w" if number else "r", closefd=False)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = ["experience-tui"]
    try:
        open_monitor()
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    finally:
        os._exit(1)


def one_round(place: Place, number: int) -> str:
    """Two monitors on a home without an owner: which of them owns it, "first" or "second"; raises Wrong."""
    place.tasks(command("tick", LOG, every="0.1s"))
    ours, gate = os.pipe()
    pair = [Monitor(place, ours), Monitor(place, ours)]
    os.close(ours)
    os.write(gate, b"xx")
    os.close(gate)
    try:
        wait(pair, lambda: one_owns_one_watches(place, pair), "one owns, the other is attached to it")
        owner, seen = owner_of(place.home), place.count("tick")
        wait(pair, lambda: place.count("tick") >= seen + MORE_RUNS, "the tasks run")
    finally:
        codes = [each.end() for each in pair]
    if any(codes):
        raise Wrong(f"round {number}: exit codes {codes}")
    assert owner is not None  # one owns
    check(place, owner.pid, number)
    return ("first", "second")[pair[1].pid == owner.pid]


def one_owns_one_watches(place: Place, pair: list[Monitor]) -> bool:
    """Both are on screen, and the one that owns nothing names the other."""
    owner = owner_of(place.home)
    if owner is None:
        return False
    attached = b"attached, pid %d" % owner.pid
    return all(
        (attached in each.painted) == (each.pid != owner.pid) and b"tick" in each.painted for each in pair
    )


def wait(pair: list[Monitor], holds: Callable[[], bool], words: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise Wrong(f"never came true: {words}; {[each.painted[-300:] for each in pair]}")
        for each in pair:
            each.read(0.01)


def check(place: Place, owner: int, number: int) -> None:
    """Every run was started by the owner, none beside another, and each is counted."""
    lines = place.lines()
    if others := {pid for _, pid in lines} - {str(owner)}:
        raise Wrong(f"round {number}: pid {owner} is the owner, runs were started by {others}")
    verbs = [verb for verb, _ in lines]
    if verbs[::2] != ["start"] * len(verbs[::2]) or verbs[1::2] != ["end"] * len(verbs[1::2]):
        raise Wrong(f"round {number}: two runs at the same time: {verbs}")
    if (
        not verbs.count("start") <= place.count("tick") <= verbs.count("start") + 1
    ):  # one may end before its echo
        raise Wrong(f"round {number}: {verbs.count('start')} runs, {place.count('tick')} counted")


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--times", type=int, default=100)
    times, began = words.parse_args().times, time.monotonic()
    owners: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="experience-doubles-") as folder:
        for number in range(times):
            root = Path(folder) / str(number)
            root.mkdir()
            owners[one_round(Place(root), number)] += 1
    summary = ", ".join(f"the {which} owned {count}" for which, count in sorted(owners.items()))
    print(f"exactly one owner in {times} of {times} rounds ({summary}), {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
