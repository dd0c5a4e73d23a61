"""A headless owner of all the citizens in a folder, as a process of its own."""

import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from benchmarks.child import HERE, MeasurementFailed
from benchmarks.memory import cpu_of, resident
from scheduler.system.unix_socket import socket_path

READY = 30.0  # seconds until a thousand citizens can be attached to


class Owner:
    """Runs until it is closed, or killed; can be attached to as soon as it is made."""

    def __init__(self, root: Path, around: Mapping[str, str]) -> None:
        self._sockets = [socket_path(home) for home in sorted(root.glob("citizen*"))]
        before = set(map(_identity, self._sockets))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tui", "--no-ui", "--own-as-root"],
            cwd=HERE,
            env=dict(around),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self._process.pid
        self._wait_for_others_than(before)

    def cpu(self) -> float:
        """Seconds of CPU that all its threads have used."""
        return cpu_of(self.pid)

    def resident(self) -> float:
        """Megabytes in memory."""
        return resident(self.pid) / 1e6

    def kill(self) -> None:
        """As the kernel does it: nothing is said, nothing is tidied up."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self.kill()

    def _wait_for_others_than(self, sockets: set[int]) -> None:
        """A killed owner leaves its sockets behind: only new ones say that this one is there."""
        end = time.monotonic() + READY
        while not all(_identity(path) and _identity(path) not in sockets for path in self._sockets):
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise MeasurementFailed("the owner did not come up")
            time.sleep(0.005)


def _identity(path: Path) -> int:
    try:
        return path.stat().st_ctime_ns
    except OSError:
        return 0
