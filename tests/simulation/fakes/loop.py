"""An event loop, a clock and a timer on the world's time: instead of waiting, they let it pass."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol

from scheduler.system import clock as system_clock
from scheduler.system.clock import LoopTimer, SystemClock

NEVER = float("inf")


class Time(Protocol):
    """What a loop needs of the world around it."""

    elapsed: float

    @property
    def wall(self) -> float: ...

    def wait(self, seconds: float | None) -> None:
        """Let time pass until something happens, at most so many seconds."""
        ...

    def disk_takes(self) -> float:
        """Seconds until work that was given to a thread is done."""
        ...


class Loop(asyncio.BaseEventLoop):
    """Runs until it is stopped; each turn asks the world for time. Threads are a delay."""

    def __init__(self, world: Time) -> None:
        super().__init__()
        self._world, self._selector, self._clock_resolution = world, self, 1e-6
        self.set_exception_handler(lambda loop, context: None)

    def time(self) -> float:
        return self._world.elapsed

    def select(self, timeout: float | None) -> tuple[()]:
        self._world.wait(timeout)
        return ()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        done = self.create_future()
        self.call_later(self._world.disk_takes(), self._work, done, func, args)
        return done

    def _work(self, done: "asyncio.Future[Any]", func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            result = func(*args)
        except Exception as error:  # what a thread would hand over
            if not done.done():
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(result)

    def _process_events(self, event_list: Any) -> None: ...

    def _write_to_self(self) -> None: ...


def clock(world: Time, loop: Loop, *, realtime: bool) -> SystemClock:
    """The real clock of the scheduler on the world's time.

    `realtime` is Linux' timer, which hears of a clock that is set; without it the clock has to look.
    """
    system_clock.time = SimpleNamespace(time=lambda: world.wall, monotonic=lambda: world.elapsed)
    simulated = SystemClock(lambda ring: RealTimer(world, loop, ring) if realtime else LoopTimer(ring))
    simulated.now = lambda: world.wall  # these two were taken from `time` when the class was made
    simulated.elapsed = lambda: world.elapsed
    return simulated


class RealTimer:
    """Rings at a wall time, and when the clock was set."""

    def __init__(self, world: Any, loop: Loop, ring: Callable[[], None]) -> None:
        self._world, self._loop, self._ring = world, loop, ring
        self._handle: asyncio.TimerHandle | None = None
        world.on_clock_set = self._clock_set

    def set(self, when: float) -> None:
        self.close()
        self._handle = self._loop.call_later(max(0.0, when - self._world.wall), self._ring)

    def close(self) -> None:
        if self._handle:
            self._handle.cancel()

    def _clock_set(self) -> None:
        self._loop.call_soon(self._ring)
