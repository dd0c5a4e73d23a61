"""The owner's side of the guard: a process that ends the owner's runs when the owner no longer can."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable

from scheduler.process.process_info import LINUX, Running, born


class Guard:
    """Gets each renewal and each run; without a living guard its owner may start nothing."""

    def __init__(self, calls: Callable[[], int] = lambda: 0) -> None:
        self._calls = calls  # counts the handlers that run in this process
        self._process: subprocess.Popen[bytes] | None = None
        self._told = 0

    @property
    def alive(self) -> bool:
        """Whether the guard watches; a stopped one (SIGSTOP) kills nothing, and its pipe fills up."""
        if self._process is None or self._process.poll() is not None:
            return False
        if not LINUX:  # some have no waitid
            return True
        changes = os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, changes) is None

    def begin(self) -> None:
        """Start the guard, or a new one if it died or was stopped; returns when it watches, blocks."""
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
        """Send the new `deadline` of the leases (by the clock of `elapsed`): nothing may run after it."""
        self._told = self._calls()
        self._send(f"lease {deadline} {self._told}\n")

    def begins_inside(self) -> None:
        """Send that a handler begins in this process, which then must not outlive the leases."""
        if not self._told:
            self._told = 1
            self._send("calls 1\n")

    def tell(self) -> None:
        """Send how many handlers run in this process; without any it may outlive its leases."""
        self._told = self._calls()
        self._send(f"calls {self._told}\n")

    def add(self, run: Running) -> None:
        """Send that this process is about to become a run."""
        self._send(f"run {run.pid} {run.born}\n")

    def close(self) -> None:
        """End the guard: all runs have ended."""
        self._send("closed\n")
        self._end()

    def _send(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it died, which `alive` reports
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
