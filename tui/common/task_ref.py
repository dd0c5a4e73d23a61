"""A task among those of all citizens."""

from dataclasses import dataclass

from scheduler.core.views import TaskView


@dataclass(frozen=True, slots=True)
class TaskRef:
    """A task and whose it is."""

    citizen: str
    task: TaskView

    @property
    def row(self) -> tuple[str, str]:
        return self.citizen, self.task.name
