"""Output for a shell: tables, and what a program printed as text that cannot control a terminal."""

import re
import sys
from collections.abc import Collection, Iterator, Sequence

from scheduler.core.views import OutputChunk
from scheduler.core.wording.text import clean

LINE = 4096  # characters of an unfinished line that are held back to print it whole

# The start of an escape sequence or line end that the next piece may complete.
_INCOMPLETE = re.compile(r"(?:\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,200}|[()])?|\r)\Z")

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def table(rows: Sequence[Sequence[str]], width: int, right: Collection[str] = ()) -> list[str]:
    """A line per row, none wider than `width`; columns whose title is in `right` are right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = [
        f"{{:{'>' if title in right else '<'}{wide}}}" for title, wide in zip(rows[0], widths, strict=True)
    ]
    line = "  ".join(cells)
    return [line.format(*row)[:width].rstrip() for row in rows]


def width(otherwise: int) -> int:
    """The columns of the terminal; `otherwise` if the output is not a terminal."""
    if not sys.stdout.isatty():
        return otherwise
    from shutil import get_terminal_size

    return get_terminal_size().columns


class Printout:
    """Makes a run's output safe piece by piece; with a `prefix`, in whole lines that begin with it."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix, self._held, self._fresh = prefix, "", True

    def add(self, piece: OutputChunk) -> str:
        """The text that can be shown now."""
        shown = ""
        if piece.skipped:
            shown = self.end() + f"{self._prefix}… {piece.skipped:,} bytes left out …\n"
        text = self._held + piece.text
        cut = self._cut(text)
        self._held = text[cut:]
        return shown + self._show(text[:cut])

    def end(self) -> str:
        """The text still held back, with a line end."""
        shown, self._held = self._show(self._held), ""
        shown += "" if self._fresh else "\n"
        self._fresh = True
        return shown

    def _cut(self, text: str) -> int:
        if self._prefix:
            whole = text.rfind("\n") + 1
            return whole if len(text) - whole <= LINE else len(text)
        incomplete = _INCOMPLETE.search(text)
        return incomplete.start() if incomplete else len(text)

    def _show(self, text: str) -> str:
        return "".join(map(self._line, readable(text)))

    def _line(self, line: str) -> str:
        before = self._prefix if self._fresh else ""
        self._fresh = line.endswith("\n")
        return before + line


def readable(text: str) -> Iterator[str]:
    """The lines of `text`, with their ends: no colours, no cursor moves, tabs as blanks."""
    from scheduler.executors.output import ESCAPES

    text = ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    for line in _LINE.findall(text):
        yield clean(line.removesuffix("\n")) + "\n" * line.endswith("\n")
