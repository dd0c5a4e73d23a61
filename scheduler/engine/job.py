"""A task as the engine holds it: its state, its run, and what keeps it from starting."""

from collections.abc import Callable

from scheduler.core.schedules.schedule import NEVER
from scheduler.core.state import TaskState
from scheduler.core.task import Command, Isolated, Outcome, Task, Trigger
from scheduler.core.task import NotSetUp as Nothing
from scheduler.core.views import LEFT_BEHIND, STOPPING, Hold, HoldKind, TaskView, view
from scheduler.engine.run import RunHandle
from scheduler.errors import NotSetUp

OWN_PROCESS = (Command, Isolated)


class Job:
    """What the engine knows of one task at this moment."""

    __slots__ = (
        *("again", "costs", "entry", "floor", "held", "in_process", "is_wake", "left", "number", "paid"),
        *("run", "slot", "state", "task", "announced", "view", "waiting", "when"),
    )

    def __init__(self, task: Task, state: TaskState, floor: float) -> None:
        self.take_up(task)
        self.state, self.is_wake = state, task.is_wake
        self.floor = floor  # slots before this are skipped if the task does not catch up
        self.when = NEVER
        self.slot: float | None = None  # the slot that a start at `when` serves
        self.entry = 0  # its number in the due queue; 0 while it is not queued there
        self.run: RunHandle | None = None
        self.waiting: Trigger | None = None
        self.left: tuple[str, Callable[[], bool]] | None = None
        self.again = False
        self.paid = False  # its runs cost money or call a provider, so each must be admitted before it starts
        self.held: Hold | None = None  # what keeps it from starting
        self.announced = ("", "")  # the kind and the cause of the hold that was published last
        self.number = 0  # number of the last wake
        self.costs = ("", "")  # US dollars: its runs that began today, and those that began this month
        self.view: TaskView | None = None

    def take_up(self, task: Task) -> None:
        """Continue with these settings; what each run needs of them is computed once."""
        self.task = task
        self.in_process = not (task.queue or isinstance(task.work, OWN_PROCESS))  # handler in this process

    @property
    def busy(self) -> bool:
        """Whether something of this task runs or cannot be proven to have ended."""
        return self.run is not None or self.left is not None

    def refuse_if_not_set_up(self) -> None:
        if isinstance(self.task.work, Nothing):
            where = self.task.work.advice.splitlines()[:2]  # "# in FILE" and the table's name
            place = " ".join(line.removeprefix("# ") for line in reversed(where))
            raise NotSetUp(
                f"{self.task.name} is not set up: it needs {self.task.work.setting}; add it to {place}"
            )

    def row(self, workers: int) -> TaskView:
        """The task's row as a screen shows it."""
        if self.view is None:
            self.view = view(
                self.task,
                self.state,
                NEVER if self.busy else self.when,
                progress=self.run.progress if self.run else None,
                queued=self.waiting is not None,
                note=self._note(workers),
                held=self._hold(),
                number=self.number,
                cost_today=self.costs[0],
                cost_month=self.costs[1],
                where=self.run.where if self.run else "",
            )
        return self.view

    @property
    def in_queue(self) -> bool:
        """Whether its run waits for a worker to begin it."""
        run = self.run
        return bool(run and self.task.queue and not run.where and not run.reason)

    @property
    def rechecks_itself(self) -> bool:
        """Whether its run waits before it begins, and asks then whether it still may."""
        run = self.run
        return bool(run and (self.task.queue or (self.is_wake and not run.opened)))

    def _hold(self) -> Hold | None:
        if self.run and self.in_queue:
            why = self.run.waits or _no_worker_yet(self.task.queue)
            return Hold(HoldKind.QUEUE, why, about=self.task.queue)
        return None if self.busy or self.state.paused else self.held

    def _note(self, workers: int) -> str:
        if self.run and self.run.reason is Outcome.STOPPED:
            return STOPPING
        if self.left:
            return f"{LEFT_BEHIND}{self.left[0]}"
        if self.run and (hold := self._hold()):
            return hold.why
        if self.waiting:
            return f"queued: all {workers} workers busy"
        if self.held and not self.busy:
            return self.held.why
        if self.state.retry_at is not None:
            return self.attempt()
        return ""

    def attempt(self) -> str:
        """Which attempt a retry is, counted from the first start."""
        return f"attempt {self.state.attempt + 1} of {self.task.retries + 1}"


def _no_worker_yet(queue: str) -> str:
    return f"waits for {'an' if queue[0] in 'aeiou' else 'a'} {queue} worker"
