"""One run under way."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scheduler.agents.report import AgentReport
from scheduler.core.costs import RunCost, Usage
from scheduler.core.schedules.schedule import NEVER
from scheduler.core.secrets import NOTHING_SECRET, Masks
from scheduler.core.task import Outcome, Progress, Trigger
from scheduler.executors.output import OutputBuffer
from scheduler.executors.result import Result
from scheduler.process.process_info import Running
from scheduler.process.who import Who

if TYPE_CHECKING:
    from scheduler.core.state import TaskState
    from scheduler.engine.job import Job

PROGRESS_EVERY = 0.1  # seconds between two progress reports that reach a screen


class RunObserver:
    """Records and shows the progress of runs; this one does neither."""

    async def carried_by(self, run: "RunHandle", running: Running) -> None:
        """Record the process of the run, which waits at its gate; it starts when this returns."""

    def show(self, run: "RunHandle") -> None:
        """Show its progress, or what it waits for."""


NO_OBSERVER = RunObserver()


class RunHandle:
    """The engine's handle of one run, of a task or of the wake; for its worker it is the RunListener."""

    # What few runs need has its default here; what each run sets or asks for is assigned, which is faster.
    survivor: Running | None = None  # the process that could not be ended
    progress: Progress | None = None
    stopped_by: Who | None = None
    variables: Mapping[str, str] | None = None  # environment variables of its process
    reported: AgentReport | None = None  # what a worker on another machine read of its cost
    before: "TaskState | None" = None  # the task's state before a run that waits for a worker
    refusal = ""  # why a provider refused it
    used: list[Usage] | None = None  # tokens of models, as its handler counts them
    begun_for = ""  # why the gate let the wake begin
    charge = ""  # the name of its cost in the ledger
    never_began = False  # nothing of it ran
    waits = ""  # which workers it waits for
    where = ""  # the machine whose worker carries it out
    abandoned = held_up = False
    asked = False  # it was forced while it waited
    put_back = False  # a wake was kept from its turn and stays due
    removed = False  # its task has gone from the settings, and is not due if it comes back
    number = 0  # of a wake
    late = 0.0  # seconds by which a wake began late
    why = ""
    before_carried: Callable[[Running], Awaitable[None]] | None = None
    _publishing = False

    def __init__(
        self,
        name: str,
        trigger: Trigger,
        since: float,
        observer: RunObserver = NO_OBSERVER,
        job: "Job | None" = None,
        citizen: str = "",
        who: Who | None = None,
        masks: Masks = NOTHING_SECRET,
    ) -> None:
        """`who` asked for the run."""
        self.name, self.trigger, self.since = name, trigger, since
        self._observer, self.job, self.citizen, self.who, self.masks = observer, job, citizen, who, masks
        self.task: asyncio.Task[Any] | None = None
        self.reason: Outcome | None = None
        self.left: tuple[str, Callable[[], bool]] | None = None
        self.cost: RunCost | None = None
        self.result: Result | None = None  # set when the run has ended
        self._output: OutputBuffer | None = None
        self.began = self._exited = False
        self.opened = True  # False while a wake waits for due tasks: after a crash it has never begun
        self.started_at = 0.0  # by the clock of elapsed seconds, for the duration
        self.began_at = self.limit = 0.0  # when its program got control, and how long that may take
        self.deadline = NEVER

    @property
    def title(self) -> str:
        """The name of the run where it asks for something."""
        return f"wake #{self.number}" if self.number else f"task {self.name}"

    @property
    def output(self) -> OutputBuffer:
        """The output of the run, bounded; the buffer is made for the first byte or reader."""
        if self._output is None:
            self._output = OutputBuffer(self.masks)
        return self._output

    @property
    def printed(self) -> OutputBuffer | None:
        """The output of the run; None while nothing was printed or asked for."""
        return self._output

    async def carried_by(self, running: Running) -> None:
        if self.before_carried:
            await self.before_carried(running)
        await self._observer.carried_by(self, running)

    def waits_for(self, words: str) -> None:
        """Show what the run waits for before a worker begins it."""
        if words != self.waits:
            self.waits = words
            self._observer.show(self)

    def exited(self) -> None:
        self._exited = True

    @property
    def over(self) -> bool:
        """Whether the run's work has ended and only its result is still to come."""
        return self._exited

    def left_behind(self, what: str, alive: Callable[[], bool], process: Running | None = None) -> None:
        self.left, self.survivor = (what, alive), process

    def use(self, usage: Usage) -> None:
        """Count tokens of a model for the run; for any thread."""
        self.__dict__.setdefault("used", []).append(usage)  # in one step: two threads may be the first

    def report(self, progress: Progress) -> None:
        """Publish the newest progress at most ten times a second; for any thread."""
        self.progress = replace(progress, text=self.masks.hide(progress.text))
        if not self._publishing and self.task:
            self._publishing = True
            loop = self.task.get_loop()
            loop.call_soon_threadsafe(loop.call_later, PROGRESS_EVERY, self._publish_progress)

    def _publish_progress(self) -> None:
        self._publishing = False
        self._observer.show(self)

    def halt(self, reason: Outcome, why: str = "the scheduler was shut down") -> None:
        """Ask the run to end, for this reason; a run that has not begun yet ends before it begins.

        A run whose process has exited is already over, whatever its pipe still holds: its result counts.
        """
        if self._exited:
            return
        if self.reason is None:
            self.reason, self.why = reason, why
        if self.began and self.task:
            self.task.cancel()
