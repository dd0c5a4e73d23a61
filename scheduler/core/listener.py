"""What whoever hears of a citizen's runs must understand; called on the path of every run: be quick."""

from collections.abc import Iterable
from typing import Protocol

from scheduler.core.state import TaskState
from scheduler.core.task import Task


class Listener(Protocol):
    """Hears what became of the tasks; takes notes and does its own work elsewhere."""

    def began(self, tasks: Iterable[tuple[Task, TaskState]]) -> None:
        """A scheduler has taken up these tasks as they were left."""
        ...

    def started(self, task: Task) -> None: ...

    def finished(self, task: Task, before: TaskState, after: TaskState) -> None:
        """A run ended, not by our own shutdown."""
        ...
