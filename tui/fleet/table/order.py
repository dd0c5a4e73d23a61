"""The order of the table's rows: sorted on request, and when a row comes or goes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scheduler.core.views import TaskStatus, TaskView
from tui.common.task_ref import Place, TaskRef
from tui.fleet.table.columns import NEXT, Column


@dataclass(frozen=True, slots=True)
class SortedBy:
    """The column to sort by, and the direction."""

    column: Column = NEXT
    reverse: bool = False


class Order:
    """All rows in their current state, in an order that changes only on request."""

    def __init__(self, held: Callable[[str], str] = lambda citizen: "") -> None:
        self._held = held  # why nothing of a citizen runs, empty if it does
        self.by = SortedBy()
        self.rows: list[Place] = []
        self.longest = 0  # characters of a task's name
        self._refs: dict[Place, TaskRef] = {}  # by citizen, as in the panels
        self._at: dict[Place, int] = {}
        self._of: dict[str, frozenset[str]] = {}  # the task names of each citizen

    def fill(self, refs: Iterable[TaskRef]) -> None:
        """Set exactly these rows, sorted."""
        self._put({ref.row: ref for ref in refs})

    def update(self, citizen: str, tasks: Iterable[TaskView]) -> bool:
        """Take a citizen's newest rows; True if this changed the order."""
        now = {Place(citizen, task.name): TaskRef(citizen, task) for task in tasks}
        if frozenset(name for _, name in now) == self._of.get(citizen, frozenset()):
            self._refs.update(now)
            return False
        others = {row: ref for row, ref in self._refs.items() if row[0] != citizen}
        self._put(others | now)
        return True

    def _put(self, refs: dict[Place, TaskRef]) -> None:
        self._refs = {row: refs[row] for row in sorted(refs, key=lambda row: row[0])}
        names: dict[str, list[str]] = {}
        for citizen, name in self._refs:
            names.setdefault(citizen, []).append(name)
        self._of = {citizen: frozenset(each) for citizen, each in names.items()}
        self.longest = max(map(len, set().union(*self._of.values())), default=0)
        self.sort(self.by)

    def sort(self, by: SortedBy) -> None:
        """Sort by this; rows without a sort key come last in either direction."""
        self.by, key = by, by.column.key
        still = {name for name in self._of if self._held(name)} if by.column.name == NEXT.name else set()
        keys = {row: None if row[0] in still else key(ref) for row, ref in self._refs.items()}
        known = [row for row, found in keys.items() if found is not None]
        known.sort(key=keys.__getitem__, reverse=by.reverse)  # type: ignore[arg-type]  # of one type
        others = [row for row, found in keys.items() if found is None]
        others.sort(key=lambda row: self._refs[row].task.kind is TaskStatus.NOT_SET_UP)
        self.rows = known + others
        self._at = {row: number for number, row in enumerate(self.rows)}

    def at(self, row: Place) -> int | None:
        """The index of this row; None if it is not there."""
        return self._at.get(row)

    def ref(self, number: int) -> TaskRef | None:
        """The row with this index, in its current state."""
        return self._refs[self.rows[number]] if 0 <= number < len(self.rows) else None
