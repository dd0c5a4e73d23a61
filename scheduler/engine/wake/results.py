"""The results since the last wake, including those of runs that ended under an earlier owner."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from scheduler.core.records import RunRecord
from scheduler.core.state import ERROR_LIMIT, TaskState
from scheduler.core.task import WAKE, Outcome
from scheduler.core.values import value
from scheduler.storage.wake_note import LastDelivered

RESULTS_KEPT = 200  # results kept between two wakes
SAME = 0.001  # seconds; the state file rounds times


@value
class TaskResult:
    """The result of one run since the last wake, as the next wake reads it."""

    task: str
    outcome: Outcome
    text: str
    time: float


class Results(deque[TaskResult]):
    """The newest results that were not delivered to a wake."""

    def __init__(self) -> None:
        super().__init__(maxlen=RESULTS_KEPT)

    def give_back(self, results: Iterable[TaskResult]) -> None:
        """Keep these for the next wake: the wake that was given them was refused, or did not begin."""
        known = set(map(id, self))
        self._keep([*(each for each in results if id(each) not in known), *self])

    def delivered(self, results: Iterable[TaskResult]) -> None:
        """Remove these: a wake was given them."""
        known = set(map(id, results))
        self._keep([each for each in self if id(each) not in known])

    def _keep(self, results: list[TaskResult]) -> None:
        self.clear()
        self.extend(results)


def results_since(
    delivered: LastDelivered, rows: Sequence[RunRecord], states: Mapping[str, TaskState], now: float
) -> list[TaskResult]:
    """The results not yet delivered to a wake, oldest first; `rows` is the end of the history, newest first.

    A kill may lose the last half second of the history but none of the states.
    """
    new = reversed(_new_rows(delivered, rows, now))
    found = [TaskResult(row.task, row.outcome, row.text, row.finished) for row in new]
    rows = [row for row in rows if row.task != WAKE]
    newest = max(delivered.finished, rows[0].finished if rows else 0.0) + SAME
    tasks = ((name, state) for name, state in states.items() if name != WAKE)
    ended = [result for name, state in tasks if (result := _last_result(name, state))]
    later = (each for each in ended if each.time > newest)
    unwritten = [each for each in later if not _on_record(each, states[each.task], rows)]
    unwritten.sort(key=lambda each: each.time)
    return [*found, *unwritten][-RESULTS_KEPT:]


def _new_rows(delivered: LastDelivered, rows: Sequence[RunRecord], now: float) -> Sequence[RunRecord]:
    """The rows after the last one delivered to a wake, by their order since the clock may have been set."""
    recorded, rows = rows, [row for row in rows if row.task != WAKE]
    for number, row in enumerate(rows):
        if (row.task, row.finished) == (delivered.task, delivered.finished):
            return rows[:number]
    if RESULTS_KEPT <= len(recorded) == len(rows):  # the last wake ended before all of these
        return rows
    since = _since_set_back(rows, now) if delivered.finished > now else 0  # that row was lost in a kill
    return [row for number, row in enumerate(rows) if number < since or row.finished > delivered.finished]


def _since_set_back(rows: Sequence[RunRecord], now: float) -> int:
    """How many rows were written since the clock was set back: up to the first that ends after the next."""
    later = [now, *(row.finished for row in rows)]
    return next((n for n, row in enumerate(rows) if row.finished > later[n]), len(rows))


def _on_record(result: TaskResult, state: TaskState, rows: Sequence[RunRecord]) -> bool:
    """Whether it is the last row of its task: the clock was set back since, which dates the state earlier."""
    row = next((row for row in rows if row.task == result.task), None)
    if row is None or row.finished < result.time - SAME or row.text[:ERROR_LIMIT] != result.text:
        return False
    if state.last_duration is None or abs((state.last_run or 0.0) - row.started) < SAME:
        return True
    return abs(state.last_duration - row.seconds) < SAME


def _last_result(name: str, state: TaskState) -> TaskResult | None:
    """The last result of the task as its state remembers it; None if the state does not say when it ended."""
    if state.outcome is None:
        return None
    if state.error:
        return TaskResult(name, state.outcome, state.error.text, state.error.time)
    return TaskResult(name, state.outcome, state.text, state.last_success) if state.last_success else None
