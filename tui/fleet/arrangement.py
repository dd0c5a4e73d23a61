"""Which tasks a filter keeps, and the order of the panels."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import inf

from scheduler.core.views import Snapshot, TaskView

SURE = 3  # letters that are enough to match a state; fewer would match most states
FAILING = ("failed", "failing")


class Order(StrEnum):
    NAME = "name"
    FAILING = "failing first"
    NEXT = "next due first"

    @property
    def next(self) -> "Order":
        """The order after this one."""
        orders = list(Order)
        return orders[(orders.index(self) + 1) % len(orders)]

    def key(self, citizen: str, snapshot: Snapshot | None) -> tuple[float, str]:
        """The sort key of a citizen, from what is known of it."""
        tasks, number = snapshot.tasks if snapshot else (), 0.0
        if self is Order.FAILING:
            number = -sum(task.error is not None for task in tasks)
        elif self is Order.NEXT:
            number = min((task.due for task in tasks if task.due is not None), default=inf)
        return number, citizen


def words_of(citizen: str, tasks: Iterable[TaskView]) -> str:
    """All words of these tasks that a filter can match."""
    parts = (
        " ".join([f"{citizen}/{task.name}", *_states(task), task.error.text if task.error else ""])
        for task in tasks
    )
    return " ".join(parts).casefold()


def _states(task: TaskView) -> tuple[str, ...]:
    """The names of the task's state: one with an error is also `failing`, even while paused."""
    return (task.kind, *FAILING) if task.error else (task.kind,)


@dataclass(frozen=True)
class Filter:
    """A filter as typed: every word has to match, a leading `!` inverts it; an empty one keeps everything."""

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
        """Whether a task with these words might match: usually a quick no."""
        return self._inverted or all(word in words for word in self._words)

    def wants_all(self, citizen: str) -> bool:
        """Whether every task of this citizen matches, whatever its name."""
        return not self._inverted and all(word in citizen for word in self._words)

    def wants(self, citizen: str, task: TaskView) -> bool:
        """Whether this task matches."""
        return self._found(citizen, task) != self._inverted

    def finds(self, text: str) -> bool:
        """Whether this (casefolded) text matches."""
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
