"""One run under way."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scheduler.agents.report import AgentReport
from scheduler.core.costs import RunCost, Usage
from scheduler.core.schedules.schedule import NEVER
from scheduler.core.secrets import NOTHING_SECRET
from scheduler.core.task import Outcome, Progress, Trigger
from scheduler.executors.output import OutputBuffer
from scheduler.executors.result import Result
from scheduler.process.process_info import Running
from scheduler.process.who import Who

if TYPE_CHECKING:
    from scheduler.core.state import TaskState
    from scheduler.engine.job import Job

PROGRESS_EVERY = 0.1  # seconds between two progress reports that reach a screen


class RunHandle:
    """The engine's handle of one run, of a task or of the wake; for its worker it is the RunListener."""

    # Fifteen assignments per dispatch are cheaper than class defaults, which are slow to look up.
    __slots__ = (
        *(
            "abandoned",
            "began",
            "began_at",
            "deadline",
            "held_up",
            "job",
            "limit",
            "left",
            "masks",
            "name",
            "progress",
            "reason",
            "since",
        ),
        *("citizen", "cost", "late", "number", "opened", "put_back", "result", "started_at", "stopped_by"),
        *(
            "before",
            "begun_for",
            "charge",
            "never_began",
            "refusal",
            "reported",
            "survivor",
            "task",
            "trigger",
            "used",
            "variables",
            "who",
            "why",
        ),
        *("_carried", "_exited", "_output", "_publishing", "_shown", "waits", "where"),
    )
    task: asyncio.Task[Any] | None
    reason: Outcome | None
    left: tuple[str, Callable[[], bool]] | None
    survivor: Running | None  # the process that could not be ended
    progress: Progress | None
    cost: RunCost | None
    used: list[Usage] | None  # tokens of models, as its handler counts them
    result: Result | None  # set when the run has ended
    who: Who | None  # who asked for the run
    stopped_by: Who | None
    variables: Mapping[str, str] | None  # environment variables of its process
    reported: AgentReport | None  # what a worker on another machine read of its cost
    before: "TaskState | None"  # the task's state before a run that waits for a worker and may never begin
    _output: OutputBuffer | None

    def __init__(
        self,
        name: str,
        trigger: Trigger,
        since: float,
        carried: Callable[["RunHandle", Running], Awaitable[None]],
        shown: Callable[["RunHandle"], None],
        job: "Job | None" = None,
        citizen: str = "",
        who: Who | None = None,
    ) -> None:
        self.name, self.trigger, self.since = name, trigger, since
        self._carried, self._shown = carried, shown
        self.job, self.citizen, self.who = job, citizen, who
        self.task = self.reason = self.left = self.survivor = self.progress = self._output = None
        self.cost = self.result = self.used = self.variables = self.before = self.reported = None
        self.stopped_by = None
        self.refusal = self.begun_for = ""  # why a provider refused it; why the gate let the wake begin
        self.charge, self.never_began = "", False  # name of its cost in the ledger; whether nothing of it ran
        self.waits = self.where = ""  # which workers it waits for; the machine whose worker carries it out
        self.began = self.abandoned = self.held_up = self._exited = self._publishing = False
        self.opened = True  # False while a wake waits for due tasks: after a crash it has never begun
        self.put_back = False  # a wake was kept from its turn and stays due
        self.number = 0  # of a wake
        self.late = 0.0  # seconds by which a wake began late
        self.started_at = 0.0  # by the clock of elapsed seconds, for the duration
        self.began_at = self.limit = 0.0  # when its program got control, and how long that may take
        self.deadline, self.why, self.masks = NEVER, "", NOTHING_SECRET

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
        await self._carried(self, running)

    def before_carried(self, first: Callable[[Running], Awaitable[None]]) -> None:
        """Call `first` before the run is recorded as carried out by its own process."""
        carried = self._carried

        async def both(run: RunHandle, running: Running) -> None:
            await first(running)
            await carried(run, running)

        self._carried = both

    def waits_for(self, words: str) -> None:
        """Show what the run waits for before a worker begins it."""
        if words != self.waits:
            self.waits = words
            self._shown(self)

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
        self.used = self.used or []
        self.used.append(usage)

    def report(self, progress: Progress) -> None:
        """Publish the newest progress at most ten times a second; for any thread."""
        self.progress = replace(progress, text=self.masks.hide(progress.text))
        if not self._publishing and self.task:
            self._publishing = True
            loop = self.task.get_loop()
            loop.call_soon_threadsafe(loop.call_later, PROGRESS_EVERY, self._publish_progress)

    def _publish_progress(self) -> None:
        self._publishing = False
        self._shown(self)

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
