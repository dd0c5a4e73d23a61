"""The events of a make-believe citizen: those of its last runs at first, then what happens."""

from collections import deque
from collections.abc import Mapping

from scheduler.core.state import TaskState
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Event

KEPT = 200


class DemoEvents:
    """Numbers events and keeps the newest."""

    def __init__(self, citizen: str, states: Mapping[str, TaskState]) -> None:
        self._citizen, self._seq = citizen, 0
        self._events: deque[Event] = deque(maxlen=KEPT)
        past = [each for name, state in states.items() for each in _last_run(name, state)]
        for when, kind, task, outcome, text, took in sorted(past, key=lambda each: each[0]):
            self.note(when, kind, task, outcome, text, took)

    def newest(self) -> tuple[Event, ...]:
        return tuple(self._events)

    def note(
        self,
        when: float,
        kind: str,
        task: str = "",
        outcome: Outcome | None = None,
        text: str = "",
        took: float | None = None,
        trigger: Trigger = Trigger.SCHEDULE,
    ) -> None:
        """Something happened at `when`."""
        self._seq += 1
        self._events.append(
            Event(self._seq, when, kind, self._citizen, task, outcome, text, trigger, duration=took)
        )


Happened = tuple[float, str, str, Outcome | None, str, float | None]


def _last_run(name: str, state: TaskState) -> list[Happened]:
    if state.last_run is None:
        return []
    began: Happened = (state.last_run, "started", name, None, "", None)
    if state.running:
        return [began]
    took = state.last_duration or 0.0
    text = state.error.text if state.error else state.text
    return [began, (state.last_run + took, "finished", name, state.outcome, text, took)]
