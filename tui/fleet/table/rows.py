"""One row of the table: its cells, and which of them change from second to second."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.segment import Segment

from scheduler.core.views import TaskView
from tui.common import text as words
from tui.common.styles import CURSOR, Styles, merged
from tui.common.task_ref import TaskRef
from tui.common.usual_duration import Usual
from tui.fleet.panels.rows import mark, recent_segments
from tui.fleet.table.columns import Column, Moment, Piece, cells_of, sign
from tui.glyphs import Glyphs

Columns = tuple[Column, ...]


class RowLook(NamedTuple):
    """All that the cells of a row depend on: cheap to build, and compared each second."""

    ticks: tuple[Piece, ...]  # what the time-dependent columns show
    task: TaskView
    citizen: str
    light: int
    usual: Usual | None
    held: str
    columns: Columns


class RowCells(NamedTuple):
    """The cells of a row: those that change with time, and those to their left and right."""

    look: RowLook
    left: list[Segment]
    ticking: list[Segment]
    right: list[Segment]

    @property
    def all(self) -> list[Segment]:
        return [*self.left, *self.ticking, *self.right]


def row_look(ref: TaskRef, light: int, columns: Columns, at: Moment) -> RowLook:
    """What the row looks like at this moment."""
    ticks = tuple(column.show(ref, at) for column in columns if column.ticks)
    return RowLook(ticks, ref.task, ref.citizen, light, at.usual(ref), at.held(ref.citizen), columns)


def row_cells(look: RowLook, styles: Styles, width: int, at: Moment, before: RowCells | None) -> RowCells:
    """The cells of a row `width` cells wide; those of `before` that still hold are reused."""
    columns, light, glyphs = look.columns, look.light, at.glyphs
    first = next((n for n, each in enumerate(columns) if each.ticks), len(columns))
    count = len(look.ticks)
    ticking = _cells_of(columns[first : first + count], look.ticks, light, styles, glyphs)
    if before is not None and before.look[1:] == look[1:]:
        return before._replace(look=look, ticking=ticking)
    ref = TaskRef(look.citizen, look.task)
    said, style = sign(ref, at)
    shown = [column.show(ref, at) for column in columns]
    left = _cells_of(columns[:first], shown, light, styles, glyphs)
    rest = first + count
    right = _cells_of(columns[rest:], shown[rest:], light, styles, glyphs)
    edge = [mark(glyphs, styles, light), Segment(f"{said} ", styles.style(style, light))]
    free = Segment(" " * (width - cells_of(columns)), styles.style("ink", light & CURSOR))
    return RowCells(look, list(merged([*edge, *left])), ticking, list(merged([*right, free])))


def _cells_of(
    columns: Columns, pieces: Sequence[Piece], light: int, styles: Styles, glyphs: Glyphs
) -> list[Segment]:
    cells: list[Segment] = []
    for column, (text, style) in zip(columns, pieces, strict=False):
        gap = " " * column.gap
        if not style:
            cells.append(Segment(gap, styles.style("faint", light)))
            cells += recent_segments(text, light, styles, glyphs)
            continue
        aligned = text if column.left else text.rjust(column.cells)
        shown = words.fit(aligned, column.cells, glyphs.ellipsis)
        cells.append(Segment(gap + shown, styles.style(style, light)))
    return cells
