"""The fleet on a thread of its own, for a front end that has a loop of its own."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from scheduler.core.details import TaskDetails
from scheduler.core.ports import Control, FleetOptions, FleetView
from scheduler.core.records import LISTED, RunRecord
from scheduler.core.views import Heartbeat, OutputChunk, Receipt, Snapshot
from scheduler.core.window import Slots, TimeGrid
from scheduler.errors import SchedulerError, Stopping
from scheduler.executors.streams import ChunkQueue
from scheduler.system.clock import Clock, SystemClock

if TYPE_CHECKING:
    from scheduler.control.fleet import Fleet
    from scheduler.control.member import Followed

T = TypeVar("T")

BEAT = 0.5  # seconds between two signs of life


class FleetThread:
    """Runs a fleet beside the screen: a handler that blocks cannot freeze the keys, nor a repaint a run.

    The thread starts when somebody watches, so that the first frame need not wait for the engine's imports.
    """

    def __init__(self, options: FleetOptions, on_home: Callable[[str, Path], None]) -> None:
        self.clock: Clock = SystemClock()
        self._options, self._on_home = options, on_home
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fleet: Fleet | None = None
        self._beat = self.clock.elapsed()
        self._stop: asyncio.Event
        self._ending = False  # also before there is a loop to tell
        self._latest: LatestValue[FleetView] | None = None
        self._controls: dict[Control, ThreadedControl] = {}
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main()), name="scheduler", daemon=True
        )

    def stop(self, say: Callable[[str], None] = lambda line: None) -> None:
        """End the fleet and wait for it; `say` is told what is waited for."""
        self._ending = True
        if self._thread.ident is None:
            return
        self._call(lambda: self._stop.set())
        self._thread.join(0.3)
        if running := self.running():
            say(f"waiting for {', '.join(running)}; press ctrl+c to end at once")
        while self._thread.is_alive():
            self._thread.join(0.2)

    def stop_now(self) -> None:
        """What still runs ends at once."""
        self._call(lambda: self._fleet.stop_now() if self._fleet else None)

    def running(self) -> list[str]:
        """The tasks of ours that are under way, as citizen/task."""
        if self._fleet is None or not self._thread.is_alive():
            return []
        snapshots = [scheduler.snapshot() for scheduler in self._fleet.schedulers()]
        return [f"{one.citizen}/{task.name}" for one in snapshots for task in one.tasks if task.running_since]

    def pulse(self) -> Heartbeat:
        age = self.clock.elapsed() - self._beat
        return Heartbeat(age, self._culprit() if age > 2 * BEAT else "")

    async def watch(self) -> AsyncIterator[FleetView]:
        self._latest = LatestValue()
        self._latest.put(FleetView(loading=True))
        if self._thread.ident is None:
            self._thread.start()
        async for view in self._latest.values():
            yield view

    async def take_over(self, citizen: str) -> None:
        fleet, loop = self._fleet, self._loop
        if fleet is None or loop is None:
            raise Stopping("the scheduler has not started yet")
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(fleet.take_over(citizen), loop))

    def why_not_own(self, citizen: str) -> str:
        return self._fleet.why_not_own(citizen) if self._fleet else "the scheduler has not started yet"

    def _culprit(self) -> str:
        """The run that the loop is in at this moment: tasks are named citizen/task."""
        current = asyncio.current_task(self._loop) if self._loop else None
        return current.get_name() if current else ""

    def _call(self, action: Callable[[], object]) -> None:
        if self._loop:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(action)

    async def _main(self) -> None:
        from scheduler.control.fleet import Fleet  # the engine and its settings: 0.2 s

        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        fleet = self._fleet = Fleet(self._options, self._on_home)
        fleet.clock = self.clock
        self._alive()
        fleet.subscribe(self._show)
        try:
            if not self._ending:
                await fleet.start()
        except SchedulerError as error:
            self._put(FleetView(problems=tuple(str(error).splitlines())))
        if not self._ending:
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
        self._put(replace(view, controls=wrapped))

    def _put(self, view: FleetView) -> None:
        if self._latest:
            self._latest.put(view)

    def _wrapped(self, control: Any) -> "ThreadedControl":
        assert self._loop is not None
        return self._controls.get(control) or ThreadedControl(control, self._loop, self.pulse)


class ThreadedControl:
    """A Control for another thread's loop."""

    def __init__(
        self, control: "Followed", loop: asyncio.AbstractEventLoop, pulse: Callable[[], Heartbeat]
    ) -> None:
        self.citizen = control.citizen
        self._control, self._loop, self._thread_pulse = control, loop, pulse

    async def watch(self) -> AsyncIterator[Snapshot]:
        relay: LatestValue[Snapshot] = LatestValue()
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

    def pulse(self) -> Heartbeat:
        """Of the thread, or of an owner beyond it: whichever is slower."""
        return max(self._thread_pulse(), self._control.pulse(), key=lambda pulse: pulse.age)

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

    async def history(
        self, task: str | None = None, *, limit: int = LISTED, failed: bool = False, before: int | None = None
    ) -> tuple[RunRecord, ...]:
        return await self._ask(self._control.history(task, limit=limit, failed=failed, before=before))

    async def output(self, run: int) -> str:
        return await self._ask(self._control.output(run))

    async def slots(self, tasks: Collection[str], window: TimeGrid) -> Slots:
        return await self._ask(self._control.slots(tasks, window))

    async def explain(self, task: str) -> TaskDetails:
        return await self._ask(self._control.explain(task))

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        spool = ChunkQueue()
        filling = self._begun(spool.fill(self._control.follow(task)))
        filling.add_done_callback(lambda done: spool.end(self._why(done)))
        try:
            async for piece in spool.pieces():
                yield piece
        finally:
            filling.cancel()

    async def _ask(self, verb: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(self._begun(verb))

    def _begun(self, verb: Coroutine[Any, Any, T]) -> "Future[T]":
        try:
            return asyncio.run_coroutine_threadsafe(verb, self._loop)
        except RuntimeError:
            verb.close()
            raise self._stopping() from None

    def _why(self, done: "Future[None]") -> SchedulerError | None:
        """What ended it, if that was not the run."""
        error = self._stopping() if done.cancelled() else done.exception()
        return error if isinstance(error, SchedulerError) else None

    def _stopping(self) -> Stopping:
        return Stopping(f"{self.citizen} is shutting down")

    def _soon(self, action: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the scheduler's loop has ended
            self._loop.call_soon_threadsafe(action)


class LatestValue(Generic[T]):
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
