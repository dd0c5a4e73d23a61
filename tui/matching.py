"""Which tasks a filter keeps: text over citizen, task and error; `!` in front inverts."""

from dataclasses import dataclass

from scheduler.model import TaskView


@dataclass(frozen=True, slots=True)
class Filter:
    """What the person typed; the empty filter keeps everything."""

    text: str = ""

    @property
    def all(self) -> bool:
        return not self._needle

    @property
    def _needle(self) -> str:
        return self.text.removeprefix("!").strip().casefold()

    def wants(self, citizen: str, task: TaskView) -> bool:
        """Is this task to be shown?"""
        return self._found(citizen, task) != self.text.startswith("!")

    def _found(self, citizen: str, task: TaskView) -> bool:
        needle = self._needle
        error = task.error.text.casefold() if task.error else ""
        return needle in f"{citizen}/{task.name}" or needle in error or needle == task.kind.value
