"""The order of the table's rows: taken when it is asked for, and when a row comes or goes."""

from collections.abc import Iterable
from dataclasses import dataclass

from scheduler.core.views import TaskView
from tui.common.task_ref import TaskRef
from tui.fleet.table.columns import NEXT, Column

Row = tuple[str, str]  # citizen and task


@dataclass(frozen=True, slots=True)
class SortedBy:
    """By which column, and which way round."""

    column: Column = NEXT
    reverse: bool = False


class Order:
    """All rows as they are now, in an order that does not move by itself."""

    def __init__(self) -> None:
        self.by = SortedBy()
        self.rows: list[Row] = []
        self.longest = 0  # characters of a task's name
        self._views: dict[str, dict[str, TaskView]] = {}
        self._at: dict[Row, int] = {}

    def fill(self, refs: Iterable[TaskRef]) -> None:
        """These rows and no others, sorted."""
        self._views = {}
        for ref in refs:
            self._views.setdefault(ref.citizen, {})[ref.task.name] = ref.task
        self.sort(self.by)

    def update(self, citizen: str, tasks: Iterable[TaskView]) -> bool:
        """The newest of a citizen's rows; True if that has changed the order."""
        before, now = self._views.get(citizen, {}), {task.name: task for task in tasks}
        self._views[citizen] = now
        if before.keys() != now.keys():
            self.sort(self.by)
            return True
        return False

    def sort(self, by: SortedBy) -> None:
        """Take this order; what the column says nothing of stands last, whichever way round."""
        self.by = by
        refs = [TaskRef(name, task) for name, tasks in sorted(self._views.items()) for task in tasks.values()]
        keyed = [(by.column.key(ref), ref) for ref in refs]
        known = sorted(((key, ref.row) for key, ref in keyed if key is not None), reverse=by.reverse)
        self.rows = [row for _, row in known]
        self.rows += [ref.row for key, ref in keyed if key is None]
        self._at = {row: number for number, row in enumerate(self.rows)}
        self.longest = max((len(ref.task.name) for ref in refs), default=0)

    def at(self, row: Row) -> int | None:
        """Where this row is."""
        return self._at.get(row)

    def ref(self, number: int) -> TaskRef | None:
        """The row of this number, as it is now."""
        if not 0 <= number < len(self.rows):
            return None
        citizen, task = self.rows[number]
        return TaskRef(citizen, self._views[citizen][task])
