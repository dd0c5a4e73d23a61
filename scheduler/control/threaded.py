"""The fleet on its own thread, for a front end that has its own event loop."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine
from concurrent.futures import Future, wait
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from scheduler.core.ports import Control, FleetOptions, FleetView, HandedOver, RequestingControl
from scheduler.core.views import Heartbeat, OutputChunk, Snapshot
from scheduler.errors import SchedulerError, Stopping
from scheduler.executors.output import ChunkQueue, Signal
from scheduler.process import main_task
from scheduler.system.clock import Clock, SystemClock

if TYPE_CHECKING:
    from scheduler.control.fleet import Fleet, OnHome
    from scheduler.control.handover import Start
    from scheduler.control.member import LocalControl, Member

T = TypeVar("T")

BEAT = 0.5  # seconds between two heartbeats
STARTING = 3.0  # seconds that a hand-over takes while nothing runs


class FleetThread:
    """Runs a fleet beside the screen: no blocking handler freezes the keys, and no repaint delays a run.

    The thread starts with `watch`: the first frame does not wait for the engine's imports.
    """

    def __init__(self, options: FleetOptions, on_home: "OnHome", start: "Start | None" = None) -> None:
        self.clock: Clock = SystemClock()
        self._options, self._on_home, self._start = options, on_home, start
        self.can_hand_over = start is not None
        self._passing: Future[HandedOver] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fleet: Fleet | None = None
        self._beat = self.clock.elapsed()
        self._stop: asyncio.Event
        self._ending = False  # may be set before there is a loop
        self._latest: LatestValue[FleetView] | None = None
        self._controls: dict[Control, ThreadedControl] = {}
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def stop(self, report: Callable[[str], None] = lambda line: None) -> None:
        """End the fleet and wait for it; `report` gets a line with the tasks that still run."""
        self._ending = True
        if self._thread.ident is None:
            return
        self._note_closed()
        self.leave()
        self._thread.join(0.3)
        if running := self.running():
            report(f"waiting for {', '.join(running)}; press ctrl+c to end at once")
        while self._thread.is_alive():
            self._thread.join(0.2)

    def hand_over(self, report: Callable[[str], None] = lambda line: None) -> HandedOver:
        """Pass the citizens that run here to another process; `report` gets a line about the wait."""
        if not self._thread.is_alive() or (passing := self._pass_on()) is None:
            return HandedOver()
        self._note_closed()
        wait((passing,), STARTING)
        if running := self.running() if not passing.done() else []:
            report(f"until they have ended, this process runs {', '.join(running)}; ctrl+c ends them at once")
        while not passing.done():
            wait((passing,), 0.2)
        return passing.result()

    def _note_closed(self) -> None:
        """Whoever asks this process to end is not sent to a screen that is gone."""
        if self._fleet:
            self._fleet.closed = True

    def _pass_on(self) -> "Future[HandedOver] | None":
        """Begin to hand over, or return the hand-over that is under way."""
        from scheduler.control.handover import hand_over

        if self._fleet and self._loop and self._start and (self._passing is None or self._passing.done()):
            passing = hand_over(self._fleet, self._start)
            self._passing = asyncio.run_coroutine_threadsafe(passing, self._loop)
        return self._passing

    def stay(self) -> None:
        """Continue without a screen, like a loop, until `leave` or a client of a socket ends it."""
        if self._fleet:
            self._fleet.on_stop = self.leave
        while self._thread.is_alive():
            self._thread.join(0.2)

    def leave(self) -> None:
        """End what runs here, with the usual grace; from any thread."""
        self._ending = True
        self._call(lambda: self._stop.set())

    @property
    def on_close(self) -> str:
        """The setting for citizens whose monitor's terminal is closed."""
        return self._fleet.view().monitor.on_close if self._fleet else ""

    def owners(self) -> dict[str, str]:
        """By citizen, the process that runs it: `here`, `pid N`, or empty."""
        return {name: member.owner for name, member in self._members().items()}

    def stop_now(self) -> None:
        """End at once everything that still runs."""
        self._call(lambda: self._fleet.stop_now() if self._fleet else None)

    def running(self) -> list[str]:
        """The tasks that run in this process, as citizen/task."""
        if not self._thread.is_alive():
            return []
        return [f"{name}/{task}" for name, member in self._members().items() for task in member.running()]

    def _members(self) -> "dict[str, Member]":
        """The citizens at this moment: a copy, since the fleet's thread may change its own."""
        return dict(self._fleet.members) if self._fleet else {}

    def pulse(self) -> Heartbeat:
        age = self.clock.elapsed() - self._beat
        return Heartbeat(age, self._culprit() if age > 2 * BEAT else "")

    async def watch(self) -> AsyncIterator[FleetView]:
        self._latest = LatestValue()
        self._latest.set(FleetView(loading=True))
        if self._thread.ident is None:
            self._thread.start()
        async for view in self._latest.values():
            yield view

    async def take_over(self, citizen: str) -> None:
        await self._of_fleet(lambda fleet: fleet.take_over(citizen))

    async def look(self, citizen: str) -> Snapshot:
        return await self._of_fleet(lambda fleet: fleet.look(citizen))

    async def start_in_background(self, citizen: str) -> None:
        """Start a loop that runs this citizen; raises SchedulerError."""
        if self._fleet is None or self._start is None:
            raise Stopping("the scheduler has not started yet")
        try:
            process = self._start([citizen], self._fleet.members[citizen].settings.home)
        except OSError as error:
            raise SchedulerError(f"{citizen}: no loop could be started: {error}") from error
        self._call(lambda: self._fleet.spare(process.pid) if self._fleet else None)

    async def freeze(
        self, names: Collection[str], *, until: float | None, why: str, stop_runs: bool = False
    ) -> None:
        await self._of_fleet(lambda fleet: fleet.freeze(names, until=until, why=why, stop_runs=stop_runs))

    async def thaw(self, names: Collection[str]) -> None:
        await self._of_fleet(lambda fleet: fleet.thaw(names))

    async def _of_fleet(self, ask: "Callable[[Fleet], Coroutine[Any, Any, T]]") -> T:
        fleet, loop = self._fleet, self._loop
        if fleet is None or loop is None:
            raise Stopping("the scheduler has not started yet")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(ask(fleet), loop))

    async def move(self, citizen: str, machine: str) -> None:
        await self._of_fleet(lambda fleet: fleet.move(citizen, machine))

    def why_not_own(self, citizen: str) -> str:
        return self._fleet.why_not_own(citizen) if self._fleet else "the scheduler has not started yet"

    def _culprit(self) -> str:
        """The run that occupies the loop at this moment, as citizen/task, the name of its asyncio task."""
        current = asyncio.current_task(self._loop) if self._loop else None
        return current.get_name() if current else ""

    def _call(self, action: Callable[[], object]) -> None:
        if self._loop:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(action)

    def _run(self) -> None:
        try:
            main_task.run(self._main())
        except SchedulerError as error:
            self._set_latest(FleetView(problems=(str(error),)))

    async def _main(self) -> None:
        from scheduler.control.fleet import Fleet  # the engine and its settings: 0.2 s

        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        fleet = self._fleet = Fleet(self._options, self._on_home)
        fleet.clock = self.clock
        fleet.on_hand_over = self._pass_on if self._start else None
        self._on_beat()
        fleet.subscribe(self._publish)
        try:
            if not self._ending:
                await fleet.start()
        except SchedulerError as error:
            self._set_latest(FleetView(problems=tuple(str(error).splitlines())))
        try:
            if not self._ending:
                await self._stop.wait()
        finally:
            await fleet.stop()

    def _on_beat(self) -> None:
        self._beat = self.clock.elapsed()
        asyncio.get_running_loop().call_later(BEAT, self._on_beat)

    def _publish(self) -> None:
        assert self._fleet is not None
        view = self._fleet.view()
        wrapped = tuple(self._threaded(control) for control in view.controls)
        self._controls = dict(zip(view.controls, wrapped, strict=True))
        self._set_latest(replace(view, controls=wrapped))

    def _set_latest(self, view: FleetView) -> None:
        if self._latest:
            self._latest.set(view)

    def _threaded(self, control: Any) -> "ThreadedControl":
        assert self._loop is not None
        return self._controls.get(control) or ThreadedControl(control, self._loop, self.pulse)


class ThreadedControl(RequestingControl):
    """A Control for another thread's loop."""

    def __init__(
        self, control: "LocalControl", loop: asyncio.AbstractEventLoop, pulse: Callable[[], Heartbeat]
    ) -> None:
        self.citizen = control.citizen
        self._control, self._loop, self._thread_pulse = control, loop, pulse

    async def watch(self) -> AsyncIterator[Snapshot]:
        latest: LatestValue[Snapshot] = LatestValue()
        unsubscribe: list[Callable[[], None]] = []

        def follow() -> None:
            unsubscribe.append(self._control.subscribe(lambda: latest.set(self._control.snapshot())))
            latest.set(self._control.snapshot())

        self._call(follow)
        try:
            async for snapshot in latest.values():
                yield snapshot
        finally:
            self._call(lambda: [end() for end in unsubscribe])

    def pulse(self) -> Heartbeat:
        """The older of two heartbeats: the thread's, and that of an owner in another process."""
        return max(self._thread_pulse(), self._control.pulse(), key=lambda pulse: pulse.age)

    async def ask(self, result: type[T], method: str, **arguments: Any) -> T:
        request: Coroutine[Any, Any, T] = getattr(self._control, method)(**arguments)
        return await asyncio.wrap_future(self._submit(request))

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        chunks = ChunkQueue()
        filling = self._submit(chunks.pump(self._control.follow(task)))
        filling.add_done_callback(lambda done: chunks.close(self._error_of(done)))
        try:
            async for chunk in chunks.chunks():
                yield chunk
        finally:
            filling.cancel()

    def _submit(self, request: Coroutine[Any, Any, T]) -> "Future[T]":
        try:
            return asyncio.run_coroutine_threadsafe(request, self._loop)
        except RuntimeError:
            request.close()
            raise self._stopping() from None

    def _error_of(self, done: "Future[None]") -> SchedulerError | None:
        """The error that ended the output, if any."""
        error = self._stopping() if done.cancelled() else done.exception()
        return error if isinstance(error, SchedulerError) else None

    def _stopping(self) -> Stopping:
        return Stopping(f"{self.citizen} is shutting down")

    def _call(self, action: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the scheduler's loop has ended
            self._loop.call_soon_threadsafe(action)


class LatestValue(Generic[T]):
    """Carries the newest value from any thread to this loop; values not read in time are skipped."""

    def __init__(self) -> None:
        self._signal = Signal()
        self._value: list[T] = []

    def set(self, value: T) -> None:
        self._value = [value]
        self._signal.set()

    async def values(self) -> AsyncIterator[T]:
        while True:
            await self._signal.wait()
            self._signal.reset()
            yield self._value[0]
