"""All errors in settings, one line each with its file, and the lines of the file around the selected one."""

import asyncio
from collections.abc import Callable, Sequence

from textual import work

from scheduler.core.editor import Excerpt
from tui.common.pane import EMPTY, Row, StyledText
from tui.common.text import cells, clean, plural, shorten, wrapped
from tui.fleet.broken import near, parted
from tui.glyphs import Glyphs
from tui.keys import key_of
from tui.lessons.start_here import Lesson
from tui.lessons.steps import tilde_in

LEAST = 6  # lines below which it is not shown
Wrong = tuple[str, str]  # the citizen, "" for the main file, and the line
Find = Callable[[str, str], Excerpt | None]


class WrongSettings(Lesson):
    """Lists the errors; enter goes to the next, e opens the editor there."""

    def __init__(self, glyphs: Glyphs, find: Find, read_only: bool) -> None:
        super().__init__(glyphs, "")
        self._find, self._read_only = find, read_only
        self.wrong: tuple[Wrong, ...] = ()
        self.chosen = 0
        self._places: dict[Wrong, Excerpt | None] = {}
        self._rows: list[Row] = []

    def show(self, wrong: Sequence[Wrong]) -> None:
        """Show these errors."""
        if tuple(wrong) == self.wrong:
            return
        self.wrong, self.chosen = tuple(wrong), min(self.chosen, max(0, len(wrong) - 1))
        self._places.clear()
        self._lay_out()
        self._look_up()

    def fit(self, free: int) -> int:
        """Take the free lines if there are enough; return how many."""
        self.styles.height = lines = free if free >= LEAST else 0
        return lines

    @property
    def at_problem(self) -> Wrong | None:
        """The selected error."""
        return self.wrong[self.chosen] if self.wrong else None

    @work(exclusive=True, group="excerpts")
    async def _look_up(self) -> None:
        """Look up, in a thread, where each error is in its file."""
        for each in self.wrong:
            self._places[each] = await asyncio.to_thread(self._find, *each)
        self._lay_out()

    # -------------------------------------------------------------- drawing

    def count(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> Row:
        return self._rows[index] if index < len(self._rows) else EMPTY

    def foot(self) -> tuple[str, str]:
        return "a good file is picked up when you save it", ""

    def resized(self) -> None:
        self._lay_out()

    def focused_or_left(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        tab = key_of(self, "next", "tab")
        way = f"{self.glyphs.enter} next" if self.has_focus else f"{tab} to choose"
        way += "" if self._read_only else f"  {key_of(self, 'edit', 'e')} edit there"
        self.entitle(plural(len(self.wrong), "problem"), way)
        listed = [row for number in range(len(self.wrong)) for row in self._problem(number)]
        excerpt = self._excerpt() if len(listed) + 6 <= self.inside else []
        gap = [EMPTY] if len(listed) + len(excerpt) + 1 < self.inside else []
        self._rows = [*gap, *listed, *([EMPTY] if excerpt else []), *excerpt]
        self.scroll_rows(self.top)

    def _problem(self, number: int) -> list[Row]:
        """The file, the line and the key; below them the error."""
        plain, room = self.glyphs.plain, self.inner - 2
        problem = parted(self.wrong[number][1])
        place = self._places.get(self.wrong[number])
        line = problem.line or (place.line if place else 0)
        file = near(problem.file) if self.wrong[number][0] else tilde_in(problem.file)
        where = clean(file + (f":{line}" if line else ""), plain)
        mark = StyledText(f"{self.glyphs.cursor} " if number == self.chosen else "  ", "here")
        if not where:
            return self._said(mark, problem.words)
        first = [mark, StyledText(shorten(where, room, self.glyphs.ellipsis), "title")]
        key = clean(problem.key, plain)
        if key and cells(where) + 2 + cells(key) <= room:
            first.append(StyledText(f"  {key}"))
        indent = min(cells(where) + 4, max(3, room // 2))
        return [Row(tuple(first)), *self._said(StyledText(" " * indent), problem.words)]

    def _said(self, before: StyledText, words: str) -> list[Row]:
        """The error message, with `before` in front of its first line."""
        gap = StyledText(" " * cells(before.text))
        lines = wrapped(clean(words, self.glyphs.plain), self.inner - 1 - cells(gap.text))
        return [Row((gap if n else before, StyledText(line, "failed"))) for n, line in enumerate(lines)]

    def _excerpt(self) -> list[Row]:
        """The line with the error, with one before and one after it."""
        place = self._places.get(self.wrong[self.chosen]) if self.wrong else None
        if place is None:
            return []
        rows = []
        for number, text in enumerate(place.lines, place.first):
            clear = clean(text.replace("\t", " "), self.glyphs.plain)
            style = "ink" if number == place.line else "faint"
            rows.append(Row((StyledText(f"{number:>6}  ", "faint"), StyledText(clear, style))))
            if number == place.line and place.wrong:
                rows.append(Row((StyledText(" " * (8 + place.at)), StyledText("~" * place.wrong, "failed"))))
        return rows

    # -------------------------------------------------------------- keys

    def move(self, step: int) -> None:
        """Select another error; after the last comes the first."""
        if self.wrong:
            self.chosen = (self.chosen + (1 if step > 0 else -1)) % len(self.wrong)
            self._lay_out()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "settings" and (self._read_only or parameters != ("edit",)):
            return False
        return super().check_action(action, parameters)

    @property
    def copied(self) -> str:
        return self.wrong[self.chosen][1] if self.wrong else ""

    def action_hide(self) -> None:
        self.action_leave()
