"""A task among those of all citizens."""

from scheduler.core.values import value
from scheduler.core.views import TaskView


@value
class TaskRef:
    """A task and whose it is."""

    citizen: str
    task: TaskView

    @property
    def row(self) -> tuple[str, str]:
        return self.citizen, self.task.name
