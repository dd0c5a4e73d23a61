"""What a program printed, for a screen: its colours stay, whatever else steers a terminal is gone."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from rich.color import Color
from rich.style import Style

from tui.common.text import cells, cleaned

LONGEST = 20_000  # characters of one line that are worth drawing: it is cut where a screen ends anyway
MOST = 160 * 1024  # characters of a whole output: the scheduler keeps less
TAB = 8
LOOK_BACK = 16  # cells that may stay empty at the end of a line, rather than cut a word

# Colours first; then what moves the cursor, sets titles, writes clipboards: in both spellings.
_ESCAPES = re.compile(
    "\x1b\\[([0-9;:]*)m"
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b\\]|\x9d)[^\x07\x1b\x9c\x9d\n]*(?:\x07|\x1b\\\\|\x9c)"
    "|\x1b[PX^_][^\x1b\n]*\x1b\\\\"
    "|\x1b[ -/]*[0-~]"
)
_STRUCK = re.compile("[^\x08\n]\x08")
_PLAIN = Style()


class Part(NamedTuple):
    """Clean text in one style."""

    text: str
    style: Style


Line = tuple[Part, ...]


def lines(text: str, plain: bool = False) -> list[Line]:
    """The text line by line; colours go on over line ends as they do in a terminal."""
    reader = _Reader(plain)
    text = _bounded(text)
    text = _STRUCK.sub("", text) if "\x08" in text else text
    rows = text.removesuffix("\n").split("\n")
    return [reader.line(row.removesuffix("\r")) for row in rows] if text else []


def without_colours(text: str) -> str:
    """The same as plain clean text, for a clipboard or a file."""
    return "\n".join("".join(part.text for part in line) for line in lines(text))


def chopped(line: Line, width: int) -> list[Line]:
    """The line in pieces of at most so many cells."""
    if sum(cells(part.text) for part in line) <= width:
        return [line]
    rows: list[list[Part]] = [[]]
    room = width = max(1, width)
    for text, style in line:
        for piece, used in _pieces(text, room, width):
            if used < 0:  # it begins a new line
                rows.append([])
                room, used = width, -used
            if piece:
                rows[-1].append(Part(piece, style))
            room -= used
    return [tuple(row) for row in rows]


def _pieces(text: str, room: int, width: int) -> Iterator[tuple[str, int]]:
    """Cut where lines end: each piece and its cells, negative for one that begins a line."""
    sign = 1
    while text:
        piece = text[:room] if text.isascii() else _fitting(text, room)
        if len(piece) < len(text) and piece and text[len(piece)] != " ":
            piece = piece[: piece.rfind(" ", max(1, len(piece) - LOOK_BACK)) + 1] or piece
        if piece or sign > 0:
            yield piece, sign * cells(piece)
        else:  # wider than a line has cells
            piece = text[0]
            yield piece, sign * width
        text, room, sign = text[len(piece) :], width, -1
        if piece and piece[-1] != " ":
            text = text.removeprefix(" ")  # the blank between two words is the end of the line now


def _fitting(text: str, room: int) -> str:
    used = 0
    for index, char in enumerate(text):
        used += cells(char)
        if used > room:
            return text[:index]
    return text


def _bounded(text: str) -> str:
    if len(text) <= MOST:
        return text
    half = MOST // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


class _Reader:
    """Reads line after line in the colours that the one before ended with."""

    def __init__(self, plain: bool) -> None:
        self._plain = plain
        self._look = _Look()

    def line(self, text: str) -> Line:
        if text.isascii() and text.isprintable() and len(text) <= LONGEST:
            return (Part(text, self._look.style),) if text else ()
        cut = len(text) - LONGEST
        parts = self._parts(text[:LONGEST])
        if cut > 0:
            parts.append(Part(cleaned(f" … {cut:,} more", self._plain), _PLAIN))
        return tuple(parts)

    def _parts(self, text: str) -> list[Part]:
        parts: list[Part] = []
        column, position = 0, 0
        for found in _ESCAPES.finditer(text):
            column = self._add(parts, text[position : found.start()], column)
            position = found.end()
            if found[1] is not None:
                self._look.obey(found[1])
        self._add(parts, text[position:], column)
        return parts

    def _add(self, parts: list[Part], text: str, column: int) -> int:
        """Text that steers nothing; what comes after a carriage return is written over what was there."""
        if text.isascii() and text.isprintable():
            if text:
                parts.append(Part(text, self._look.style))
            return column + len(text)
        if "\r" in text:
            text = text.rstrip("\r").rpartition("\r")[2] if text.strip("\r") else ""
            parts.clear()
            column = 0
        for index, piece in enumerate(text.split("\t")):
            if index:
                gap = TAB - column % TAB
                parts.append(Part(" " * gap, self._look.style))
                column += gap
            if piece:
                shown = cleaned(piece, self._plain)
                parts.append(Part(shown, self._look.style))
                column += cells(shown)
        return column


_BOLD, _DIM, _ITALIC, _UNDERLINE, _REVERSE, _STRIKE = 1, 2, 3, 4, 7, 9
_SHOWN = (_BOLD, _DIM, _ITALIC, _UNDERLINE, _REVERSE, _STRIKE)  # neither blinking nor hidden
_ENDS = {22: (_BOLD, _DIM), 23: (_ITALIC,), 24: (_UNDERLINE,), 27: (_REVERSE,), 29: (_STRIKE,)}
Shade = int | tuple[int, int, int] | None


class _Look:
    """The colours and weights in force."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._flags: frozenset[int] = frozenset()
        self._ink: Shade = None
        self._paper: Shade = None
        self.style = _PLAIN

    def obey(self, codes: str) -> None:
        """Take one `ESC [ ... m`."""
        if codes in ("", "0"):
            self._clear()
            return
        numbers = [int(code[:4]) if code else 0 for code in re.split("[;:]", codes)]
        while numbers:
            code = numbers.pop(0)
            if code in (38, 48):
                self._shade(code, _long(numbers))
            else:
                self._one(code)
        self.style = _style(self._flags, self._ink, self._paper)

    def _one(self, code: int) -> None:
        if code == 0:
            self._clear()
        elif code in _SHOWN:
            self._flags |= {code}
        elif code in _ENDS:
            self._flags -= set(_ENDS[code])
        elif 30 <= code <= 39 or 90 <= code <= 97:
            self._ink = _short(code, 30)
        elif 40 <= code <= 49 or 100 <= code <= 107:
            self._paper = _short(code, 40)

    def _shade(self, code: int, shade: Shade) -> None:
        if code == 38:
            self._ink = shade
        else:
            self._paper = shade


def _short(code: int, base: int) -> Shade:
    """One of the sixteen; 39 and 49 are the usual one."""
    number = code - base
    if number >= 60:
        return number - 60 + 8
    return number if number < 8 else None


def _long(numbers: list[int]) -> Shade:
    """`5;n` or `2;r;g;b`, taken off the list."""
    kind = numbers.pop(0) if numbers else 0
    if kind == 5 and numbers:
        return min(255, numbers.pop(0))
    if kind == 2 and len(numbers) >= 3:
        red, green, blue = (min(255, numbers.pop(0)) for _ in range(3))
        return red, green, blue
    return None


@lru_cache(maxsize=1024)
def _style(flags: frozenset[int], ink: Shade, paper: Shade) -> Style:
    return Style(
        color=_color(ink),
        bgcolor=_color(paper),
        bold=_BOLD in flags or None,
        dim=_DIM in flags or None,
        italic=_ITALIC in flags or None,
        underline=_UNDERLINE in flags or None,
        reverse=_REVERSE in flags or None,
        strike=_STRIKE in flags or None,
    )


def _color(shade: Shade) -> Color | None:
    if shade is None:
        return None
    return Color.from_ansi(shade) if isinstance(shade, int) else Color.from_rgb(*shade)
