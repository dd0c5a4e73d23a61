"""The one precise timer of an event loop; what only looks at the time never pays for it."""

import asyncio
import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from typing import Protocol


class Waker(Protocol):
    def arm(self, when: float, now: float) -> None: ...

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back in the next turn of the loop."""
        ...

    def close(self) -> None: ...


class _LoopTimer:
    """asyncio's own timer, for platforms without timerfd."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._loop, self._ring = asyncio.get_running_loop(), ring
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, when: float, now: float) -> None:
        self.close()
        self._handle = self._loop.call_later(max(0.0, when - now), self._ring)

    def soon(self, callback: Callable[[], None]) -> None:
        self._loop.call_soon(callback)

    def close(self) -> None:
        if self._handle:
            self._handle.cancel()


class _Spec(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "at_s", "at_ns")]


class _TimerFd:
    """One absolute timer on the real-time clock; it also fires when that clock is set (timerfd_create(2))."""

    ABSTIME, CANCEL_ON_SET = 1, 2

    def __init__(self, ring: Callable[[], None]) -> None:
        self._loop, self._ring = asyncio.get_running_loop(), ring
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.timerfd_create(0, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        # The kernel may otherwise delay a wake-up by 50 us to save power: PR_SET_TIMERSLACK, 1 ns.
        self._libc.prctl(29, 1, 0, 0, 0)
        self._spec = _Spec()
        self._reference = ctypes.byref(self._spec)
        self._loop.add_reader(self._fd, self._ready)

    def arm(self, when: float, now: float) -> None:
        whole = int(when)
        self._spec.at_s, self._spec.at_ns = max(whole, 0), max(int((when - whole) * 1e9), 1)
        self._libc.timerfd_settime(self._fd, self.ABSTIME | self.CANCEL_ON_SET, self._reference, None)

    def soon(self, callback: Callable[[], None]) -> None:
        self._loop.call_soon(callback)

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _ready(self) -> None:
        try:  # noqa: SIM105 # suppress() costs as much as the read, on the path of every run
            os.read(self._fd, 8)
        except OSError:  # ECANCELED says the clock was set; EAGAIN that it was re-armed
            pass
        self._ring()


def waker(ring: Callable[[], None]) -> Waker:
    """The best timer there is for the running loop; it calls `ring` at the wall time it is armed for."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # an old kernel or libc without timerfd
            return _TimerFd(ring)
    return _LoopTimer(ring)
