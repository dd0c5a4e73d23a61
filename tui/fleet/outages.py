"""The line above the keys with the providers that several citizens wait for, instead of one in each row."""

from collections.abc import Iterable, Mapping

from textual.content import Content
from textual.widgets import Static

from scheduler.core.values import value
from scheduler.core.views import Hold, TaskStatus
from tui.common import text as words
from tui.glyphs import Glyphs

Piece = tuple[str, str]  # text and style, as Content.assemble takes them
MANY = 2  # citizens that wait; a single one shows it in its own row
LINES = 12  # lines of a terminal below which rows get this line


@value
class Away:
    """A provider that is away, in words not yet cleaned, and the number of citizens that wait for it."""

    said: str
    citizens: int


def away_words(hold: Hold) -> str:
    """`anthropic is away until 15:00 (usage limit)`, from the reason of a hold."""
    rest = hold.why.removeprefix(f"waits for {hold.about}").replace(", which ", ", ", 1)
    return f"{hold.about} is away{rest}"


def away(waits: Iterable[Mapping[str, str]]) -> tuple[Away, ...]:
    """The providers that several citizens wait for, the most awaited first.

    Each of `waits` maps providers to the words of one citizen.
    """
    said: dict[str, list[str]] = {}
    for one in waits:
        for provider, text in one.items():
            said.setdefault(provider, []).append(text)
    found = [Away(each[0], len(each)) for each in said.values() if len(each) >= MANY]
    return tuple(sorted(found, key=lambda each: -each.citizens))


class OutageLine(Static):
    """Draws the outages; shown only while a provider is away."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(markup=False)
        self._glyphs = glyphs
        self._outages: tuple[Away, ...] = ()
        self._aside = ""
        self._drawn: list[Piece] = []
        self.display = False

    def show(self, outages: tuple[Away, ...]) -> None:
        """Show these outages."""
        self._outages = outages
        self._draw()
        self.display = bool(outages) and self.app.size.height >= LINES

    def beside(self, aside: str) -> None:
        """Also show these clean words at the right, where there is room."""
        self._aside = aside
        self._draw()

    def _draw(self) -> None:
        line = outage_line(self._outages, self._aside, self.app.size.width, self._glyphs)
        if line != self._drawn:
            self._drawn = line
            self.update(Content.assemble(*line), layout=False)


def outage_line(outages: tuple[Away, ...], aside: str, width: int, glyphs: Glyphs) -> list[Piece]:
    """The outages, with `aside` at the right if there is room."""
    if not outages:
        return []
    sign = f" {glyphs.kind[TaskStatus.WAITS]} "
    said = glyphs.dot.join(f"{each.said}: {each.citizens:,} citizens wait" for each in outages)
    room = width - words.cells(sign) - 1
    line = sign + words.shorten(words.clean(said, glyphs.plain), room, glyphs.ellipsis)
    gap = room + words.cells(sign) - words.cells(line + aside)
    return [(line, "$warn"), *([(" " * gap, ""), (aside, "$faint")] if aside and gap > 1 else [])]
