"""What a program printed, for a screen: its colours stay, all else that steers a terminal is removed."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from rich.ansi import AnsiDecoder
from rich.style import Style

from tui.common.text import cells, cleaned

LONGEST = 20_000  # characters drawn of one line; the rest would not fit on a screen anyway
MOST = 160 * 1024  # characters of a whole output: the scheduler keeps less
TAB = 8
LOOK_BACK = 16  # cells that may stay empty at the end of a line, rather than cut a word

# Colours first; then whatever moves the cursor, sets titles or writes to the clipboard, in both spellings.
_ESCAPES = re.compile(
    "\x1b\\[([0-9;:]*)m"
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b\\]|\x9d)[^\x07\x1b\x9c\x9d\n]*(?:\x07|\x1b\\\\|\x9c)"
    "|\x1b[PX^_][^\x1b\n]*\x1b\\\\"
    "|\x1b[ -/]*[0-~]"
)
_COLOURS = re.compile("(\x1b\\[[0-9;]*m)")
_CODES = re.compile("[34]8[;:](?:5[;:][0-9]+|2(?:[;:][0-9]*){3})|[0-9]+")
_NOT_SHOWN = frozenset(("5", "6", "8"))  # blinking and hidden text
_WEIGHTS = ("bold", "dim", "italic", "underline", "reverse", "strike")
_STRUCK = re.compile("[^\x08\n]\x08")
_PLAIN = Style()


class Part(NamedTuple):
    """Clean text in one style."""

    text: str
    style: Style


Line = tuple[Part, ...]


def lines(text: str, plain: bool = False) -> list[Line]:
    """The text line by line; colours carry over line ends as they do in a terminal."""
    decoder, text = AnsiDecoder(), _bounded(text)
    text = _STRUCK.sub("", text) if "\x08" in text else text
    rows = text.removesuffix("\n").split("\n")
    return [_line(decoder, row.removesuffix("\r"), plain) for row in rows] if text else []


def without_colours(text: str) -> str:
    """The text without colours, cleaned, for a clipboard or a file."""
    return "\n".join("".join(part.text for part in line) for line in lines(text))


def chopped(line: Line, width: int) -> list[Line]:
    """The line in pieces of at most `width` cells."""
    if sum(cells(part.text) for part in line) <= width:
        return [line]
    rows: list[list[Part]] = [[]]
    room = width = max(1, width)
    for text, style in line:
        for piece, used in _pieces(text, room, width):
            if used < 0:  # the piece begins a new line
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
        else:  # the character is wider than a line
            piece = text[0]
            yield piece, sign * width
        text, room, sign = text[len(piece) :], width, -1
        if piece and piece[-1] != " ":
            text = text.removeprefix(" ")  # the line ends at this blank between two words


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


def _line(decoder: AnsiDecoder, text: str, plain: bool) -> Line:
    if text.isascii() and text.isprintable() and len(text) <= LONGEST:
        return (Part(text, _themed(decoder.style)),) if text else ()
    cut = len(text) - LONGEST
    text = text[:LONGEST] + (f" … {cut:,} more" if cut > 0 else "")
    decoded = decoder.decode_line(_sanitized(_ESCAPES.sub(_colour, text), plain))
    text, parts, at = decoded.plain, list[Part](), 0
    for start, end, style in decoded.spans:
        parts += [Part(text[at:start], _PLAIN)] if at < start else []
        parts.append(Part(text[start:end], _themed(style)))
        at = end
    return (*parts, Part(text[at:], _PLAIN)) if at < len(text) else tuple(parts)


def _colour(found: "re.Match[str]") -> str:
    """The part of an escape sequence that is shown: its colours and weights."""
    if found[1] is None:
        return ""
    codes = [code for code in _CODES.findall(found[1]) or ["0"] if code not in _NOT_SHOWN]
    return f"\x1b[{';'.join(codes).replace(':', ';')}m" if codes else ""


def _sanitized(text: str, plain: bool) -> str:
    """Clean text between colours; text after a carriage return overwrites what was there."""
    kept, column = list[str](), 0
    for index, piece in enumerate(_COLOURS.split(text)):
        if index % 2:
            kept.append(piece)
            continue
        if "\r" in piece:
            kept, column = [each for each in kept if each.startswith("\x1b")], 0
            piece = piece.rstrip("\r").rpartition("\r")[2]
        for number, cell in enumerate(piece.split("\t")):
            shown = " " * (TAB - column % TAB if number else 0) + cleaned(cell, plain)
            column += cells(shown)
            kept.append(shown)
    return "".join(kept)


@lru_cache(maxsize=1024)
def _themed(style: Style | str) -> Style:
    """The style, with the theme's colours in place of the standard ones."""
    assert isinstance(style, Style)
    ink, paper = (None if color and color.is_default else color for color in (style.color, style.bgcolor))
    weights = {name: getattr(style, name) or None for name in _WEIGHTS}
    return Style(color=ink, bgcolor=paper, **weights)
