"""Reports the state of the process to the service manager: ready, alive, reloading, stopping."""

import os
import socket
import time
from collections.abc import MutableMapping

from scheduler.system.clock import Clock, Timer

SERVICE = "EXPERIENCE_SERVICE"  # in the unit: this process is the service of that name
BEATS = 3  # heartbeats within the timeout after which the manager considers the process dead


class Notifier:
    """Sends states to NOTIFY_SOCKET; does nothing where there is none. Never waits, never raises."""

    def __init__(self, address: str = "", watchdog: float = 0.0, service: str = "") -> None:
        self.watchdog, self.service = watchdog, service
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._unsent: list[str] = []  # states that a full socket did not accept; sent with the next ones

    @property
    def managed(self) -> bool:
        """Whether a manager listens."""
        return bool(self._address)

    def notify(self, *states: str, keep: bool = True) -> None:
        """Send `NAME=value` lines now; with `keep`, lines that cannot be sent go with the next ones."""
        if not self._address:
            return
        lines = [*self._unsent, *states]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            self._unsent = lines if keep else self._unsent
        else:
            self._unsent = []

    def ready(self, status: str) -> None:
        self.notify("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        self.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self.notify("STOPPING=1", "STATUS=shutting down")


def from_environment(environ: MutableMapping[str, str] = os.environ) -> Notifier:
    """The notifier of this service; removes its variables, since child processes are not the service."""
    names = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", SERVICE)
    address, microseconds, pid, service = (environ.pop(name, "") for name in names)
    for_this_process = pid in ("", str(os.getpid())) and microseconds.isascii() and microseconds.isdigit()
    return Notifier(address, int(microseconds) / 1e6 if for_this_process else 0.0, service)


class Heartbeat:
    """Sends heartbeats by the schedulers' own timer, so that a hanging loop or a dead timer sends none."""

    def __init__(self, notifier: Notifier, clock: Clock) -> None:
        self._notifier, self._clock = notifier, clock
        self._every = notifier.watchdog / BEATS
        self._timer: Timer | None = None
        self._jumps: Timer | None = None

    def start(self) -> None:
        """Send heartbeats from now on, if the manager wants any."""
        if self._notifier.managed and self._every > 0:
            self._jumps = self._clock.on_jump(self._beat)  # else a clock set back delays it by hours
            self._beat()

    def stop(self) -> None:
        for timer in (self._timer, self._jumps):
            if timer:
                timer.cancel()

    def _beat(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._notifier.notify("WATCHDOG=1", keep=False)
        self._timer = self._clock.call_at(self._clock.now() + self._every, self._beat)
