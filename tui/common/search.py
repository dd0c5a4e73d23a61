"""A search: the matching lines, the current match, and the field to type in."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from scheduler.core.values import value
from tui.common.filter_field import FilterField
from tui.keys import key_of

ROOMY = 50  # cells from which the keys are shown next to the count


@value
class Search:
    """The text to find, the lines that contain it, and which of them is chosen."""

    text: str = ""
    lines: tuple[int, ...] = ()
    at: int = 0

    @property
    def needle(self) -> str:
        return self.text.casefold()

    @property
    def chosen(self) -> int:
        """The line of the chosen hit, -1 if there is none."""
        return self.lines[self.at] if self.lines else -1

    def has(self, line: int) -> bool:
        """Whether this line is a hit."""
        at = bisect_left(self.lines, line)
        return at < len(self.lines) and self.lines[at] == line

    @property
    def words(self) -> str:
        """The number of hits, and which one is chosen."""
        return f"{self.at + 1} of {len(self.lines):,}" if self.lines else "no hit"

    def among(self, lines: Iterable[tuple[int, str]]) -> "Search":
        """The same search in these numbered lines; the position among the hits stays."""
        needle = self.needle
        found = tuple(number for number, line in lines if needle in line.casefold()) if needle else ()
        return Search(self.text, found, min(self.at, max(0, len(found) - 1)))

    def near(self, line: int) -> "Search":
        """Choose the first hit at or after this line, or else the first of all."""
        at = bisect_left(self.lines, line)
        return replace(self, at=at if at < len(self.lines) else 0)

    def back(self, line: int) -> "Search":
        """Choose the last hit at or before this line, or else the first of all."""
        return replace(self, at=max(0, bisect_right(self.lines, line) - 1))

    def step(self, by: int) -> "Search":
        """Choose the next or previous hit; after the last comes the first."""
        return replace(self, at=(self.at + by) % len(self.lines)) if self.lines else self


def spans(text: str, needle: str) -> list[tuple[int, int]]:
    """The start and end of each match in the text."""
    low, found, at = text.casefold(), list[tuple[int, int]](), 0
    if not needle or len(low) != len(text):  # casefolding made a letter two: positions would be wrong
        return found
    while (at := low.find(needle, at)) >= 0:
        found.append((at, at + len(needle)))
        at += len(needle)
    return found


class SearchBar(Horizontal):
    """One line: the search text, the number of hits, and the keys to step through them."""

    @dataclass
    class Changed(Message):
        """The search text has changed."""

        text: str

    @dataclass
    class Left(Message):
        """The person is done with typing; `keep` says whether the search stays."""

        keep: bool

    def __init__(self) -> None:
        super().__init__()
        self._field, self._count = FilterField("what to look for"), Static(markup=False, classes="count")
        self._words = ""

    def compose(self) -> ComposeResult:
        yield from (Static("/", markup=False, classes="slash"), self._field, self._count)

    def open(self, text: str) -> None:
        """Start typing with the text of the last search."""
        self.display = True
        self._field.open(text)

    def show(self, words: str) -> None:
        """Show how many hits there are."""
        self._words = words
        keys = [("next-hit", "n", "next"), ("hit-before", "N", "before"), ("clear", "esc", "clear")]
        parts: list[tuple[str, str]] = [(words, "$ink" if words else "")]
        if self.size.width >= ROOMY:
            for gap, (name, usual, said) in zip(("   ", "  ", "  "), keys, strict=True):
                parts += [(f"{gap}{key_of(self, name, usual)} ", "bold $run"), (said, "$faint")]
        self._count.update(Content.assemble(*parts))

    def on_resize(self) -> None:
        self.show(self._words)

    def on_input_changed(self, event: FilterField.Changed) -> None:
        event.stop()
        if event.value != "" or self._field.has_class("-open"):
            self.post_message(self.Changed(event.value))

    def on_filter_field_left(self, event: FilterField.Left) -> None:
        event.stop()
        self.display = event.keep and bool(self._field.value)
        self.post_message(self.Left(self.display))
