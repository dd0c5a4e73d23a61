"""Lines of the board as strips, each drawn once for as long as it looks the same."""

from collections.abc import Callable

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip

from tui.common.styles import Styles, merged
from tui.common.text import clean, fit
from tui.fleet.board import Board
from tui.fleet.panel import paint
from tui.fleet.rows import RowState
from tui.glyphs import Glyphs

Faces = tuple[RowState, ...]


class Canvas:
    """Draws lines of a board; `finish` is the last touch that a strip gets before it is kept.

    `way_out` is the key that drops a filter. `ink` is asked for only when something is drawn: before that
    there may be no styles yet.
    """

    def __init__(
        self,
        board: Board,
        glyphs: Glyphs,
        ink: Callable[[], Styles],
        finish: Callable[[Strip], Strip],
        way_out: Callable[[], str],
    ) -> None:
        self._board, self._glyphs, self._ink, self._finish = board, glyphs, ink, finish
        self._way_out = way_out
        self._drawn: dict[int, tuple[Faces, Strip]] = {}
        self.width = 0

    def forget(self) -> None:
        """Nothing that was drawn is where it was any more."""
        self._drawn.clear()

    def strip(self, line: int, now: float) -> Strip:
        """The line as it was drawn last, or as it looks now."""
        drawn = self._drawn.get(line)
        return drawn[1] if drawn else self._draw(line, self._board.faces(line, now))

    def changes(self, top: int, height: int, now: float) -> list[Region]:
        """Draw what looks different now; gives one region for each such line, relative to `top`."""
        regions = []
        for line in range(top, top + height):
            drawn = self._drawn.get(line)
            if drawn is None:
                continue  # it is about to be drawn anyway
            faces = self._board.faces(line, now)
            if faces != drawn[0]:
                regions.append(Region(0, line - top, self._dirty_until(drawn[0], faces), 1))
                self._draw(line, faces)
        return regions

    def _dirty_until(self, old: Faces, new: Faces) -> int:
        layout = self._board.layout
        for column in reversed(range(len(new))):
            was, face = old[column] if column < len(old) else None, new[column]
            if was == face:
                continue
            part = face.line.dirty(was, face) if was is not None and was.line is face.line else 0
            return layout.lefts[column] + (part or layout.widths[column])
        return self.width

    def _draw(self, line: int, faces: Faces) -> Strip:
        ink = self._ink()
        segments = list(merged([segment for face in faces for segment in paint(face, ink)]))
        cells = sum(self._board.layout.widths[: len(faces)])
        if line == 1 and not self._board.order:
            segments, cells = [Segment(self._nothing(), ink.style("faint"))], self.width
        strip = self._finish(Strip(segments, cells).adjust_cell_length(self.width, ink.style("ink")))
        self._drawn[line] = (faces, strip)
        return strip

    def _nothing(self) -> str:
        said = clean(self._board.filter.text, self._glyphs.plain)
        all_of_it = f"({self._way_out()} shows everything)"
        words = "" if self._board.filter.all else f"  nothing matches {said}   {all_of_it}"
        return fit(words, self.width, self._glyphs.ellipsis)
