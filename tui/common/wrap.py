"""Breaks clean text into lines at its blanks, by the cells it takes."""

from tui.common.text import cells


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells; a word that is longer than that is cut."""
    width = max(1, width)
    rows: list[str] = []
    row = ""
    for word in text.split(" "):
        joined = f"{row} {word}" if row else word
        if cells(joined) <= width:
            row = joined
            continue
        if row:
            rows.append(row)
        *whole, row = _cut(word, width)
        rows += whole
    return [*rows, row]


def _cut(word: str, width: int) -> list[str]:
    """The word in pieces that fit, at least one."""
    pieces, piece, used = [], "", 0
    for char in word:
        wide = cells(char)
        if used + wide > width and piece:
            pieces.append(piece)
            piece, used = "", 0
        piece += char
        used += wide
    return [*pieces, piece]
