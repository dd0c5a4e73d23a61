"""Where the cursor goes from here: every move is a function of the board."""

from tui.fleet.board import Board

Spot = tuple[int, int]


def vertical(board: Board, step: int) -> Spot:
    """One task down or up, over the edge of the panel into the next one of the column."""
    index, row = board.at
    tasks, columns = len(board.order[index].tasks), board.layout.columns
    if 0 <= row + step < tasks:
        return index, row + step
    target = index + columns * step
    if step > 0 and target >= len(board.order) and _band(board, index) < _band(board, len(board.order) - 1):
        target = len(board.order) - 1
    if not 0 <= target < len(board.order):
        return index, row
    return target, 0 if step > 0 else len(board.order[target].tasks) - 1


def sideways(board: Board, step: int) -> Spot:
    """The same row of the panel beside this one."""
    index, row = board.at
    target = index + step
    beside = 0 <= target < len(board.order) and _band(board, target) == _band(board, index)
    return (target, row) if beside else (index, row)


def panel(board: Board, step: int) -> Spot:
    """The first row of the next panel or the one before, round at the ends."""
    index, _ = board.at
    return (index + step) % len(board.order), 0


def page(board: Board, lines: int) -> Spot:
    """The row so many lines further down or up in the same column."""
    index, row = board.at
    layout = board.layout
    y = layout.top(index) + board.order[index].row_line(row) + lines
    column = index % layout.columns
    if y >= layout.height:
        return _last_of(board, column)
    if y < 0:
        return column, 0
    target = min(layout.band_at(y) * layout.columns + column, len(board.order) - 1)
    return target, board.order[target].task_at(y - layout.top(target))


def end(board: Board, step: int) -> Spot:
    """The very first or the very last task."""
    last = len(board.order) - 1
    return (0, 0) if step < 0 else (last, len(board.order[last].tasks) - 1)


def _last_of(board: Board, column: int) -> Spot:
    index = max(range(column, len(board.order), board.layout.columns), default=0)
    return index, len(board.order[index].tasks) - 1


def _band(board: Board, index: int) -> int:
    return index // board.layout.columns
