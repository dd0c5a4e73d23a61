"""The owner's side of the guard: a process that ends this one's runs when this one no longer can."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable

from scheduler.process.process_info import Running, born, stat


class Guard:
    """Hears of each renewal and each run; without a living guard its owner may start nothing."""

    def __init__(self, calls: Callable[[], int] = lambda: 0) -> None:
        self._calls = calls  # the handlers that run inside this process
        self._process: subprocess.Popen[bytes] | None = None
        self._told = 0

    @property
    def alive(self) -> bool:
        """Whether it watches; one that is stopped kills nothing, and its pipe fills up."""
        if self._process is None or self._process.poll() is not None:
            return False
        found = stat(self._process.pid)
        return found is None or found.state != "T"

    def begin(self) -> None:
        """Start it, or another one after it died or was stopped; returns when it watches, blocks."""
        ours = f"{os.getpid()} {born(os.getpid()) or 0.0}"
        if self._process is not None:
            self._process.kill()
            self._end()
        self._process = subprocess.Popen(
            (sys.executable, "-P", "-m", "scheduler.cluster.guard_main", *ours.split()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def renewed(self, deadline: float) -> None:
        """The leases end at `deadline` (of the clock of `elapsed`): nothing may run then."""
        self._told = self._calls()
        self._send(f"lease {deadline} {self._told}\n")

    def begins_inside(self) -> None:
        """A handler begins inside this process: it must not outlive the leases, whatever comes."""
        if not self._told:
            self._told = 1
            self._send("calls 1\n")

    def tell(self) -> None:
        """How many handlers run inside this process by now; without one it outlives its leases."""
        self._told = self._calls()
        self._send(f"calls {self._told}\n")

    def add(self, run: Running) -> None:
        """This process is about to become a run."""
        self._send(f"run {run.pid} {run.born}\n")

    def close(self) -> None:
        """All runs have ended, and it ends, too."""
        self._send("closed\n")
        self._end()

    def _send(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it died: `alive` says so
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()

    def _end(self) -> None:
        if self._process is None:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()
