"""The only module that asks what time it is, and wakes the event loop at a wall time."""

import contextlib
import heapq
import os
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

NEVER = float("inf")
LOOK = 30.0  # seconds: the wall clock is compared with the monotonic one at least this often
JUMP = 1.0  # seconds: a smaller difference is drift that NTP slews away
_SLEEPLESS = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
SLICE = 64  # alarms in one turn of the loop: a thousand citizens due at once must not block everything else


def elapsed() -> float:
    """Seconds on a clock that cannot be set and that goes on while the machine sleeps."""
    return time.clock_gettime(_SLEEPLESS)


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """Time as the scheduler sees it. `now` is Unix seconds and may jump; `elapsed` never goes back."""

    def now(self) -> float: ...

    def elapsed(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back at wall time `when`, even if the clock is set in the meantime."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back after this many seconds, whatever the wall clock does."""

    def on_jump(self, callback: Callable[[], None]) -> Timer:
        """Call back after the wall clock was set, or the machine slept, until cancelled."""


class ClockSteps:
    """How far the wall clock was set since the last look; a machine that slept counts as set forward."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.now() - clock.elapsed()

    def look(self) -> float:
        before, self._offset = self._offset, self._clock.now() - self._clock.elapsed()
        return self._offset - before


class WallTimer(Protocol):
    """One timer of the running loop, set to a wall time."""

    def set(self, when: float) -> None: ...

    def close(self) -> None: ...


class SystemClock:
    """The machine's clock, with one timer for the event loop it is first used on."""

    now = staticmethod(time.time)
    elapsed = staticmethod(time.monotonic)

    def __init__(self, timer: Callable[[Callable[[], None]], WallTimer] | None = None) -> None:
        self._heap: list[tuple[float, int, _Alarm]] = []
        self._order = count()
        self._jumped: dict[int, Callable[[], None]] = {}
        self._looked = time.monotonic()
        self._offset = time.time() - self._looked
        self._new_timer = timer or best_timer
        self._timer: WallTimer | None = None
        self._timer_at = NEVER
        self._prune_at = 64

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        alarm = _Alarm(callback)
        heapq.heappush(self._heap, (when, next(self._order), alarm))
        if len(self._heap) > self._prune_at:  # cancelled alarms behind a live one would stay until their time
            self._heap[:] = [entry for entry in self._heap if entry[2].callback is not None]
            heapq.heapify(self._heap)
            self._prune_at = 2 * len(self._heap) + 64
        if when < self._timer_at:
            self._rearm()
        return alarm

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        from asyncio import get_running_loop  # 30 ms, which callers that only ask for the time do not pay

        return get_running_loop().call_later(seconds, callback)

    def on_jump(self, callback: Callable[[], None]) -> Timer:
        key = next(self._order)
        self._jumped[key] = callback
        if self._timer is None:
            self._rearm()
        return _Alarm(None, lambda: self._jumped.pop(key, None))

    def close(self) -> None:
        """Give the timer back to the system; the clock can be used again afterwards."""
        if self._timer is not None:
            self._timer.close()
        self._timer, self._timer_at = None, NEVER
        self._heap.clear()

    def _rearm(self) -> None:
        if self._timer is None:
            self._timer = self._new_timer(self._on_timer)
        limit = time.time() + LOOK - (time.monotonic() - self._looked)  # new alarms do not delay the look
        self._timer_at = min(self._heap[0][0], limit) if self._heap else limit
        self._timer.set(self._timer_at)

    def _on_timer(self) -> None:
        self._timer_at = -NEVER  # alarms that callbacks set wait for the one _rearm() below
        try:
            self._report_jump()
            self._call_due(time.time())
        finally:  # a callback that raises does not stop the clock
            if self._timer is not None:  # a callback may close the clock
                self._rearm()

    def _call_due(self, now: float) -> None:
        heap, called, newest = self._heap, 0, next(self._order)
        # An alarm that a callback sets for now waits for the next turn: the loop has other work, too.
        while heap and heap[0][1] < newest and called < SLICE:
            if heap[0][0] > now and heap[0][2].callback is not None:
                break
            callback = heapq.heappop(heap)[2].callback
            if callback is not None:
                called += 1
                callback()

    def _report_jump(self) -> None:
        self._looked = time.monotonic()
        offset = time.time() - self._looked
        moved, self._offset = offset - self._offset, offset
        if abs(moved) > JUMP:
            for callback in list(self._jumped.values()):
                callback()


class _Alarm:
    __slots__ = ("_undo", "callback")

    def __init__(self, callback: Callable[[], None] | None, undo: Callable[[], object] | None = None) -> None:
        self.callback, self._undo = callback, undo

    def cancel(self) -> None:
        self.callback = None
        if self._undo:
            self._undo()


class LoopTimer:
    """asyncio's own timer, for platforms without timerfd; it rounds up to whole milliseconds."""

    def __init__(self, ring: Callable[[], None]) -> None:
        from asyncio import get_running_loop

        self._loop, self._ring = get_running_loop(), ring
        self._handle: asyncio.TimerHandle | None = None

    def set(self, when: float) -> None:
        self.close()
        self._handle = self._loop.call_later(max(0.0, when - time.time()), self._ring)

    def close(self) -> None:
        if self._handle:
            self._handle.cancel()


class TimerFd:
    """A timer on the real-time clock, ten times as precise as asyncio; also fires when the clock is set."""

    ABSTIME, CANCEL_ON_SET = 1, 2

    def __init__(self, ring: Callable[[], None]) -> None:
        import ctypes
        from asyncio import get_running_loop

        self._loop, self._ring = get_running_loop(), ring
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.timerfd_create(0, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = (ctypes.c_long * 4)()  # no interval, then the time: each in seconds, nanoseconds
        self._loop.add_reader(self._fd, self._on_ready)

    def set(self, when: float) -> None:
        seconds = int(when)
        self._spec[2], self._spec[3] = max(seconds, 0), max(int((when - seconds) * 1e9), 1)
        self._libc.timerfd_settime(self._fd, self.ABSTIME | self.CANCEL_ON_SET, self._spec, None)

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _on_ready(self) -> None:
        with contextlib.suppress(OSError):  # ECANCELED: the clock was set; EAGAIN: the timer was set again
            os.read(self._fd, 8)
        self._ring()


def best_timer(ring: Callable[[], None]) -> WallTimer:
    """The most precise timer for the running loop; it calls `ring` at the wall time it is set to."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # an old kernel or libc without timerfd
            return TimerFd(ring)
    return LoopTimer(ring)
