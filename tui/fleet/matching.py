"""What a filter keeps: every word has to be found; `!` in front inverts."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from scheduler.core.views import TaskView

SURE = 3  # letters by which a state is known; with fewer, most words would be the beginning of one
FAILING = ("failed", "failing")


def words_of(citizen: str, tasks: Iterable[TaskView]) -> str:
    """All that a filter may find in these tasks."""
    parts = (
        " ".join([f"{citizen}/{task.name}", *_states(task), task.error.text if task.error else ""])
        for task in tasks
    )
    return " ".join(parts).casefold()


def _states(task: TaskView) -> tuple[str, ...]:
    """What its state may be called: it fails as long as it is counted as failing, paused or not."""
    return (task.kind, *FAILING) if task.error else (task.kind,)


@dataclass(frozen=True)
class Filter:
    """What the person typed; the empty filter keeps everything."""

    text: str = ""

    @property
    def all(self) -> bool:
        return not self._words

    @cached_property
    def _words(self) -> tuple[str, ...]:
        return tuple(self._needle.split())

    @cached_property
    def _needle(self) -> str:
        return self.text.removeprefix("!").strip().casefold()

    @cached_property
    def _inverted(self) -> bool:
        return self.text.startswith("!")

    def may_want(self, words: str) -> bool:
        """Can any task be shown of those that these are all the words of? Mostly a quick no."""
        return self._inverted or all(word in words for word in self._words)

    def wants_all(self, citizen: str) -> bool:
        """Is every task of this citizen to be shown, whatever it is called?"""
        return not self._inverted and all(word in citizen for word in self._words)

    def wants(self, citizen: str, task: TaskView) -> bool:
        """Is this task to be shown?"""
        return self._found(citizen, task) != self._inverted

    def finds(self, text: str) -> bool:
        """Is what says this (casefolded) to be shown?"""
        return all(word in text for word in self._words) != self._inverted

    def _found(self, citizen: str, task: TaskView) -> bool:
        states = _states(task)
        if self._needle in states:
            return True
        said = f"{citizen}/{task.name}"
        if task.error:
            said += f" {task.error.text.casefold()}"
        return all(word in said or _is_state(word, states) for word in self._words)


def _is_state(word: str, states: tuple[str, ...]) -> bool:
    return word in states or (len(word) >= SURE and any(state.startswith(word) for state in states))
