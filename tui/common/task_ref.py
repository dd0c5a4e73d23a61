"""A task of one of the citizens."""

from typing import NamedTuple

from scheduler.core.values import value
from scheduler.core.views import TaskView


class Place(NamedTuple):
    """A row by its names, which stay the same in every order; without a task, the citizen as a whole."""

    citizen: str = ""
    task: str = ""


@value
class TaskRef:
    """A task and its citizen."""

    citizen: str
    task: TaskView

    @property
    def row(self) -> Place:
        return Place(self.citizen, self.task.name)
