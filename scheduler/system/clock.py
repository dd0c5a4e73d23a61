"""The only module that asks what time it is."""

import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from scheduler.system.timer import Waker

# The wall clock is compared with the monotonic one at least this often, in seconds.
LOOK = 30.0
# A difference below this is drift that NTP slews away, not a jump.
JUMP = 1.0
# An alarm this near is waited for by turning the loop: to set a timer for it takes the kernel 10 to 20 us.
NEAR = 0.0001
# Alarms in one turn of the loop: a thousand citizens that are due at once must not hold up everything else.
SLICE = 64


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """Time as the scheduler sees it. `now` is Unix seconds and may jump; `elapsed` never goes back."""

    def now(self) -> float: ...

    def elapsed(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back at wall time `when`, also if the clock is set meanwhile."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back after so many seconds, whatever the wall clock does."""
        ...

    def on_jump(self, callback: Callable[[], None]) -> Timer:
        """Call back after the wall clock was set, or the machine slept, until cancelled."""
        ...


class SystemClock:
    """The machine's clock and one precise timer for the event loop it was first used on.

    asyncio rounds timers up to whole milliseconds; a timerfd on the real-time clock is some ten times
    closer and reports when the clock was set. Where there is none (macOS, Windows) asyncio's timers serve.
    """

    now = staticmethod(time.time)
    elapsed = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Alarm]] = []
        self._order = count()
        self._jumped: dict[int, Callable[[], None]] = {}
        self._offset = time.time() - time.monotonic()
        self._waker: Waker | None = None
        self._ringing = self._turning = False
        self._prune_at = 64

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        alarm = _Alarm(callback)
        heapq.heappush(self._heap, (when, next(self._order), alarm))
        if len(self._heap) > self._prune_at:  # cancelled ones behind a live one would stay until their time
            self._heap[:] = [entry for entry in self._heap if entry[2].callback is not None]
            heapq.heapify(self._heap)
            self._prune_at = 2 * len(self._heap) + 64
        if self._waker is None or (self._heap[0][2] is alarm and not self._ringing):
            self._arm()
        return alarm

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        from asyncio import get_running_loop  # 30 ms that whoever only asks for the time does not pay

        return get_running_loop().call_later(seconds, callback)

    def on_jump(self, callback: Callable[[], None]) -> Timer:
        key = next(self._order)
        self._jumped[key] = callback
        if self._waker is None:
            self._arm()
        return _Alarm(lambda: None, lambda: self._jumped.pop(key, None))

    def close(self) -> None:
        """Give the timer back to the system; the clock can be used again afterwards."""
        if self._waker is not None:
            self._waker.close()
            self._waker, self._ringing = None, False
        self._heap.clear()

    def _arm(self) -> None:
        if self._waker is None:
            from scheduler.system.timer import waker

            self._waker = waker(self._ring)
        now = time.time()
        limit = now + LOOK
        when = min(self._heap[0][0], limit) if self._heap else limit
        if when - now > NEAR:
            self._waker.arm(when, now)
        elif not self._turning:
            self._turning = True
            self._waker.soon(self._turned)

    def _turned(self) -> None:
        self._turning = False
        if self._heap and self._heap[0][0] <= time.time():
            self._ring()
        elif self._waker is not None:
            self._arm()

    def _ring(self) -> None:
        # The timer is set once, after what is due has begun: every setting is a call of the system, and the
        # first steps of runs come before it.
        self._ringing = True
        try:
            self._look_for_jump()
            self._call_back(time.time())
        finally:  # whatever a callback raised, the clock goes on
            if self._waker is not None:  # else closed meanwhile
                self._waker.soon(self._rung)

    def _rung(self) -> None:
        self._ringing = False
        if self._waker is not None:
            self._arm()

    def _call_back(self, now: float) -> None:
        heap, called, newest = self._heap, 0, next(self._order)
        # What a callback sets for now is for the next turn: the loop has other things to do, too.
        while heap and heap[0][1] < newest and called < SLICE:
            if heap[0][0] > now and heap[0][2].callback is not None:
                break
            callback = heapq.heappop(heap)[2].callback
            if callback is not None:
                called += 1
                callback()

    def _look_for_jump(self) -> None:
        offset = time.time() - time.monotonic()
        moved, self._offset = offset - self._offset, offset
        if abs(moved) > JUMP:
            for callback in list(self._jumped.values()):
                callback()


class _Alarm:
    __slots__ = ("_undo", "callback")

    def __init__(self, callback: Callable[[], None], undo: Callable[[], object] | None = None) -> None:
        self.callback: Callable[[], None] | None = callback
        self._undo = undo

    def cancel(self) -> None:
        self.callback = None
        if self._undo:
            self._undo()
