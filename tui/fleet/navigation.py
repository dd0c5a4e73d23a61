"""Where the cursor goes: each move is a function of the board; the summary gives the next problem."""

from dataclasses import replace

from tui.common.task_ref import Place
from tui.fleet.board import Board
from tui.fleet.summary import FleetStatus, FleetSummary, Problem

Spot = tuple[int, int]


def vertical(board: Board, step: int) -> Spot:
    """One task down or up, beyond the edge into the next panel of the column."""
    index, row = board.at
    rows, columns = len(board.order[index].rows), board.layout.columns
    if 0 <= row + step < rows:
        return index, row + step
    target = index + columns * step
    if step > 0 and target >= len(board.order) and _band(board, index) < _band(board, len(board.order) - 1):
        target = len(board.order) - 1
    if not 0 <= target < len(board.order):
        return index, row
    return target, 0 if step > 0 else len(board.order[target].rows) - 1


def sideways(board: Board, step: int) -> Spot:
    """The same row of the panel to the left or right."""
    index, row = board.at
    target = index + step
    beside = 0 <= target < len(board.order) and _band(board, target) == _band(board, index)
    return (target, row) if beside else (index, row)


def panel(board: Board, step: int) -> Spot:
    """The first row of the next or previous panel, wrapping around at the ends."""
    index, _ = board.at
    return (index + step) % len(board.order), 0


def page(board: Board, lines: int) -> Spot:
    """The row `lines` further down or up in the same column."""
    index, row = board.at
    layout = board.layout
    y = layout.top(index) + board.order[index].row_line(row) + lines
    column = index % layout.columns
    if y >= layout.height:
        return _last_of(board, column)
    if y < 0:
        return column, 0
    target = min(layout.band_at(y) * layout.columns + column, len(board.order) - 1)
    return target, board.order[target].row_at(y - layout.top(target))


def end(board: Board, step: int) -> Spot:
    """The first or the last task of all."""
    last = len(board.order) - 1
    return (0, 0) if step < 0 else (last, len(board.order[last].rows) - 1)


def _last_of(board: Board, column: int) -> Spot:
    index = max(range(column, len(board.order), board.layout.columns), default=0)
    return index, len(board.order[index].rows) - 1


def _band(board: Board, index: int) -> int:
    return index // board.layout.columns


class ProblemNavigator:
    """Remembers the current problem, which the status bar shows instead of the worst one."""

    def __init__(self, summary: FleetSummary) -> None:
        self._summary = summary
        self._at: Problem | None = None

    def step(self, cursor: Place, by: int) -> Problem | None:
        """The next or previous problem; None if nothing is wrong."""
        found = [problem for problem in self._summary.all_problems() if problem.row]
        if not found:
            self._at = None
            return None
        here = self._place(found, cursor)
        first = 0 if by > 0 else len(found) - 1
        self._at = found[(here + by) % len(found) if here is not None else first]
        return self._at

    def shown(self, status: FleetStatus, cursor: Place) -> FleetStatus:
        """The status with the current problem, as long as the problem exists and the cursor is on it."""
        if self._at is None:
            return status
        found = self._summary.all_problems()
        place = next((n for n, each in enumerate(found) if _same(each, self._at)), None)
        if place is None or not _on(self._at, cursor):
            self._at = None
            return status
        return replace(status, worst=found[place], place=place + 1)

    def _place(self, found: list[Problem], cursor: Place) -> int | None:
        """The index of the current problem, or of one under the cursor."""
        here = [n for n, each in enumerate(found) if each.row == cursor]
        if self._at and _on(self._at, cursor):
            here = [n for n, each in enumerate(found) if _same(each, self._at)] or here
        return here[0] if here else None


def _on(problem: Problem, cursor: Place) -> bool:
    return problem.row is not None and problem.row in (cursor, (cursor[0], ""))


def _same(one: Problem, other: Problem) -> bool:
    return one.where == other.where and one.weight[0] == other.weight[0]
