"""Everything that a front end may do with citizens: watch them and ask for verbs."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from scheduler.core.machines import Cluster
from scheduler.core.records import LISTED, RunRecord
from scheduler.core.schedules.forecast import Slots, TimeGrid
from scheduler.core.state import TaskState
from scheduler.core.task import Task
from scheduler.core.ui_options import Monitor
from scheduler.core.values import value
from scheduler.core.views import Heartbeat, Hold, OutputChunk, Ping, Receipt, Snapshot, TaskView
from scheduler.core.wording.description import TaskDetails
from scheduler.system.clock import Clock

T = TypeVar("T")


class Control(Protocol):
    """One citizen, for a screen or a command line, wherever its scheduler runs.

    Every verb returns when its change is visible and saved (`Receipt.saved` is false if the save failed),
    and raises a SchedulerError if it is refused.
    """

    citizen: str

    def watch(self) -> AsyncIterator[Snapshot]:
        """Yield the whole snapshot at once, then the newest after each change; slow readers skip some."""

    def pulse(self) -> Heartbeat:
        """Return how long ago the scheduler's loop last turned; at once, from any thread."""

    async def force(self, task: str, *, again: bool = False) -> Receipt:
        """Run the task now; `again` queues another run if it is already running."""

    async def reset(self, task: str) -> Receipt:
        """Forget the last run and the last error: due at the next check."""

    async def pause(self, task: str, *, until: float | None = None, why: str = "") -> Receipt:
        """Stop scheduling the task until this time or until it is resumed; `why` is shown."""

    async def resume(self, task: str) -> Receipt: ...

    async def stop_run(self, task: str) -> Receipt:
        """End the task's run, or take it out of the queue; a second request gives its processes no grace.

        Raises NotRunning.
        """

    async def freeze(self, *, until: float | None = None, why: str = "") -> Receipt:
        """Start nothing of the citizen, wakes included, until this time or until it is thawed."""

    async def thaw(self) -> Receipt:
        """Lift the citizen's freeze; raises Frozen while all citizens of its root are frozen."""

    async def wake(self) -> Receipt:
        """Start the wake cycle now."""

    async def add_to_budget(self, amount: str, *, together: bool = False) -> Receipt:
        """Raise today's limits by this many dollars: the citizen's, or those of all `together`."""

    async def try_provider(self, provider: str) -> Receipt:
        """Let the next due run try this provider, although it counts as away."""

    async def history(
        self, task: str | None = None, *, limit: int = LISTED, failed: bool = False, before: int | None = None
    ) -> tuple[RunRecord, ...]:
        """Finished runs, the newest first, at most MOST_LISTED; `before` continues below that run id.

        Raises UnknownTask for a task that is neither in the settings nor in the history.
        """

    async def output(self, run: int) -> str:
        """The output of the run with this id, bounded, and its traceback; raises UnknownRun."""

    async def explain(self, task: str) -> TaskDetails:
        """What the task is, its secrets masked, and its next times; raises UnknownTask."""

    async def slots(self, tasks: Collection[str], window: TimeGrid) -> Slots:
        """When these tasks will run in the window if runs start on time; unknown tasks are left out."""

    def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        """Yield the output of the current run: what it has printed so far, then more until it ends.

        Waits for a queued run; ends at once if there is no run. Skips output if there is too much of it or
        the reader is slow. Close it when you leave early. The first step raises UnknownTask.
        """


class RequestingControl:
    """Passes the requests of a Control to `ask`: the base of remote controls."""

    async def ask(self, result: type[T], method: str, **arguments: Any) -> T:
        """Return the result of a request, as that type."""
        raise NotImplementedError

    async def force(self, task: str, *, again: bool = False) -> Receipt:
        return await self.ask(Receipt, "force", task=task, again=again)

    async def reset(self, task: str) -> Receipt:
        return await self.ask(Receipt, "reset", task=task)

    async def pause(self, task: str, *, until: float | None = None, why: str = "") -> Receipt:
        given = {"until": until, "why": why}  # an older owner does not know them
        return await self.ask(Receipt, "pause", task=task, **{k: v for k, v in given.items() if v})

    async def resume(self, task: str) -> Receipt:
        return await self.ask(Receipt, "resume", task=task)

    async def stop_run(self, task: str) -> Receipt:
        return await self.ask(Receipt, "stop_run", task=task)

    async def freeze(self, *, until: float | None = None, why: str = "") -> Receipt:
        given = {"until": until, "why": why}
        return await self.ask(Receipt, "freeze", **{k: v for k, v in given.items() if v})

    async def thaw(self) -> Receipt:
        return await self.ask(Receipt, "thaw")

    async def wake(self) -> Receipt:
        return await self.ask(Receipt, "wake")

    async def add_to_budget(self, amount: str, *, together: bool = False) -> Receipt:
        return await self.ask(Receipt, "add_to_budget", amount=amount, together=together)

    async def try_provider(self, provider: str) -> Receipt:
        return await self.ask(Receipt, "try_provider", provider=provider)

    async def history(
        self, task: str | None = None, *, limit: int = LISTED, failed: bool = False, before: int | None = None
    ) -> tuple[RunRecord, ...]:
        query = {"task": task, "limit": limit, "failed": failed, "before": before}
        return await self.ask(tuple[RunRecord, ...], "history", **query)

    async def output(self, run: int) -> str:
        return await self.ask(str, "output", run=run)

    async def explain(self, task: str) -> TaskDetails:
        return await self.ask(TaskDetails, "explain", task=task)

    async def slots(self, tasks: Collection[str], window: TimeGrid) -> Slots:
        return await self.ask(dict[str, tuple[float, ...]], "slots", tasks=tuple(tasks), window=window)

    async def wait(self, task: str, run: int) -> TaskView:
        """Return the task once this run has ended; its number is in the receipt of `force`."""
        return await self.ask(TaskView, "wait", task=task, run=run)


@value
class FleetView:
    """All citizens, the errors of the main settings, and the options of the screen."""

    controls: tuple[Control, ...] = ()
    problems: tuple[str, ...] = ()
    root: str = ""
    loading: bool = False
    monitor: Monitor = Monitor()
    file: str = ""  # path of the settings, whether or not it exists
    cluster: Cluster | None = None  # the machines that share citizens


@value
class HandedOver:
    """Which citizens another process runs now, and why others stay."""

    pid: int = 0
    passed: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)


class Citizens(Protocol):
    """The fleet as a screen sees it."""

    clock: Clock
    can_hand_over: bool  # whether another process can continue to run its citizens: they are real

    def watch(self) -> AsyncIterator[FleetView]:
        """Yield the fleet at once, then again whenever citizens come or go or the settings change."""

    async def take_over(self, citizen: str) -> None:
        """Own a citizen here whose owner has died; raises Owned while it has one."""

    async def look(self, citizen: str) -> Snapshot:
        """The citizen as its files show it, whoever ran it; raises Owned if it may not be owned here."""

    async def start_in_background(self, citizen: str) -> None:
        """Start a background process for a citizen that has no owner."""

    async def freeze(
        self, names: Collection[str], *, until: float | None, why: str, stop_runs: bool = False
    ) -> None:
        """Start nothing of these citizens, or of the whole root if none is named; raises SchedulerError."""

    async def thaw(self, names: Collection[str]) -> None:
        """Lift the freezes of these citizens, or of the root and all its citizens if none is named."""

    async def move(self, citizen: str, machine: str) -> None:
        """Let another machine run a shared citizen; its runs get the grace of a shutdown."""

    def why_not_own(self, citizen: str) -> str:
        """Why the citizen cannot be taken over, as far as known; empty if it may be possible."""


@value
class FleetOptions:
    """Which citizens to run, and how; `interval` is the seconds between wakes."""

    config: Path | None = None
    only: Collection[str] = ()
    interval: float | None = None
    own: bool = True
    own_as_root: bool = False
    background: bool = True
    wakes: bool = True
    create: bool = False
    service: str = ""  # the systemd unit of this process: only it may own the homes that it manages
    strict: bool = True  # errors in the settings end the start; otherwise the screen shows them
    successor_of: int = 0  # the process that runs the citizens now and releases them one by one


class Listener(Protocol):
    """Receives the runs of a citizen, on the path of every run: it must return at once."""

    def began(self, tasks: Iterable[tuple[Task, TaskState]]) -> None:
        """A scheduler starts with these tasks and their saved states."""

    def started(self, task: Task) -> None: ...

    def held(self, task: Task, hold: Hold) -> None:
        """A due run does not start; called once for each reason."""

    def finished(self, task: Task, before: TaskState, after: TaskState) -> None:
        """A run has ended; not called if a shutdown of the scheduler ended it."""

    def last_ping(self, task: str) -> Ping | None:
        """The last ping of this task since the process began, None before the first."""
