"""One task of a running scheduler: its settings, its state, and what is under way for it."""

from collections.abc import Callable

from scheduler.core.schedule import NEVER
from scheduler.core.state import TaskState
from scheduler.core.task import NotSetUp as Nothing
from scheduler.core.task import Task, Trigger
from scheduler.core.views import TaskView, view
from scheduler.engine.run import RunHandle
from scheduler.errors import NotSetUp


class Job:
    """What the engine knows of one task at this moment."""

    __slots__ = ("again", "entry", "floor", "left", "run", "state", "task", "view", "waiting", "when")

    def __init__(self, task: Task, state: TaskState, floor: float) -> None:
        self.task, self.state = task, state
        self.floor = floor  # slots before this are skipped if the task does not want to catch up
        self.when = NEVER
        self.entry = 0  # of the timetable; 0 while it has none
        self.run: RunHandle | None = None
        self.waiting: Trigger | None = None
        self.left: tuple[str, Callable[[], bool]] | None = None
        self.again = False
        self.view: TaskView | None = None

    @property
    def busy(self) -> bool:
        """Something of this task is running, or cannot be proven to have ended."""
        return self.run is not None or self.left is not None

    def refuse_if_not_set_up(self) -> None:
        if isinstance(self.task.work, Nothing):
            where = self.task.work.advice.splitlines()[:2]  # "# in FILE" and the table's name
            place = " ".join(line.removeprefix("# ") for line in reversed(where))
            raise NotSetUp(
                f"{self.task.name} is not set up: it needs {self.task.work.setting}; add it to {place}"
            )

    def row(self, workers: int) -> TaskView:
        """The task as a screen sees it."""
        if self.view is None:
            self.view = view(
                self.task,
                self.state,
                NEVER if self.busy else self.when,
                progress=self.run.progress if self.run else None,
                queued=self.waiting is not None,
                note=self._note(workers),
            )
        return self.view

    def _note(self, workers: int) -> str:
        if self.left:
            return f"waits for {self.left[0]}"
        if self.waiting:
            return f"queued: all {workers} workers busy"
        if self.state.retry_at is not None:
            return f"retry {self.state.attempt} of {self.task.retries}"
        return ""
