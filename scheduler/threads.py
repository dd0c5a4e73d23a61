"""The fleet on a thread of its own, for a front end that has a loop of its own."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Generic, TypeVar

from .clock import Clock, SystemClock
from .control import Control, FleetView
from .engine import Scheduler
from .errors import SchedulerError, Stopping
from .fleet import Fleet
from .model import Pulse, Receipt, Snapshot
from .onlooker import Onlooker

T = TypeVar("T")

BEAT = 0.5  # seconds between two signs of life


class FleetThread:
    """Runs a fleet beside the screen: a handler that blocks cannot freeze the keys, nor a repaint a run."""

    def __init__(self, make: Callable[[], Fleet]) -> None:
        self.clock: Clock = SystemClock()
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fleet: Fleet | None = None
        self._beat = self.clock.elapsed()
        self._stop: asyncio.Event
        self._relay: Relay[FleetView] | None = None
        self._controls: dict[Control, ThreadedControl] = {}
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main()), name="scheduler", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float | None = None) -> bool:
        """Ask the fleet to end and wait for it; False when it has not within `seconds`."""
        self._call(lambda: self._stop.set())
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def hurry(self) -> None:
        """What still runs ends at once."""
        self._call(lambda: self._fleet.hurry() if self._fleet else None)

    def pulse(self) -> Pulse:
        age = self.clock.elapsed() - self._beat
        return Pulse(age, self._culprit() if age > 2 * BEAT else "")

    async def watch(self) -> AsyncIterator[FleetView]:
        self._relay = Relay()
        self._relay.put(FleetView(loading=True))
        if not self._thread.is_alive():
            self.start()
        async for view in self._relay.values():
            yield view

    def _culprit(self) -> str:
        """The run that the loop is in at this moment: tasks are named citizen/task."""
        current = asyncio.current_task(self._loop) if self._loop else None
        return current.get_name() if current else ""

    def _call(self, action: Callable[[], object]) -> None:
        if self._loop:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(action)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        fleet = self._fleet = self._make()
        fleet.clock = self.clock
        self._alive()
        fleet.subscribe(self._show)
        try:
            await fleet.start()
        except SchedulerError as error:
            self._put(FleetView(problems=tuple(str(error).splitlines())))
        await self._stop.wait()
        await fleet.stop()

    def _alive(self) -> None:
        self._beat = self.clock.elapsed()
        asyncio.get_running_loop().call_later(BEAT, self._alive)

    def _show(self) -> None:
        assert self._fleet is not None
        view = self._fleet.view()
        wrapped = tuple(self._wrapped(control) for control in view.controls)
        self._controls = dict(zip(view.controls, wrapped, strict=True))
        self._put(FleetView(wrapped, view.problems, view.root, view.loading))

    def _put(self, view: FleetView) -> None:
        if self._relay:
            self._relay.put(view)

    def _wrapped(self, control: Any) -> "ThreadedControl":
        assert self._loop is not None
        return self._controls.get(control) or ThreadedControl(control, self._loop, self.pulse)


class ThreadedControl:
    """A Control for another thread's loop."""

    def __init__(
        self, control: Scheduler | Onlooker, loop: asyncio.AbstractEventLoop, pulse: Callable[[], Pulse]
    ) -> None:
        self.citizen = control.citizen
        self.pulse = pulse
        self._control, self._loop = control, loop

    async def watch(self) -> AsyncIterator[Snapshot]:
        relay: Relay[Snapshot] = Relay()
        forget: list[Callable[[], None]] = []

        def follow() -> None:
            forget.append(self._control.subscribe(lambda: relay.put(self._control.snapshot())))
            relay.put(self._control.snapshot())

        self._soon(follow)
        try:
            async for snapshot in relay.values():
                yield snapshot
        finally:
            self._soon(lambda: [end() for end in forget])

    async def force(self, task: str, *, again: bool = False) -> Receipt:
        return await self._ask(self._control.force(task, again=again))

    async def reset(self, task: str) -> Receipt:
        return await self._ask(self._control.reset(task))

    async def pause(self, task: str) -> Receipt:
        return await self._ask(self._control.pause(task))

    async def resume(self, task: str) -> Receipt:
        return await self._ask(self._control.resume(task))

    async def wake(self) -> Receipt:
        return await self._ask(self._control.wake())

    async def _ask(self, verb: Coroutine[Any, Any, Receipt]) -> Receipt:
        try:
            answer = asyncio.run_coroutine_threadsafe(verb, self._loop)
        except RuntimeError:
            verb.close()
            raise Stopping(f"{self.citizen} is shutting down") from None
        return await asyncio.wrap_future(answer)

    def _soon(self, action: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the scheduler's loop has ended
            self._loop.call_soon_threadsafe(action)


class Relay(Generic[T]):
    """Carries the newest value to this loop from any thread; what is not taken in time is skipped."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._value: list[T] = []
        self._signalled = False

    def put(self, value: T) -> None:
        self._value = [value]
        if not self._signalled:
            self._signalled = True
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody reads any more
                self._loop.call_soon_threadsafe(self._event.set)

    async def values(self) -> AsyncIterator[T]:
        while True:
            await self._event.wait()
            self._event.clear()
            self._signalled = False
            yield self._value[0]
