"""Turns values into words on screen; outside text reaches the screen only through `clean`."""

import time
import unicodedata
from functools import lru_cache

from rich.cells import cell_len

from scheduler.core.schedules.schedule import LONGEST, short_duration
from scheduler.core.wording.spans import clock, day_of
from scheduler.core.wording.spans import elapsed as elapsed
from scheduler.core.wording.spans import moment as moment
from scheduler.core.wording.spans import took as took
from scheduler.core.wording.text import ago as ago
from scheduler.core.wording.text import plural as plural

TIME = 6  # cells of a duration: `59:59`, `23h59m`, `99d23h`
_BREAKS = {"\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"}
# Terminals disagree on how these change the width of their neighbours.
_DROPPED = {"\ufe0e", "\ufe0f", "\u034f"} | {chr(code) for code in range(0x1F3FB, 0x1F400)}
_BLANK_LETTERS = {"\u115f", "\u1160", "\u3164", "\uffa0", "\u2800"}
_FLAG_A, _FLAG_Z = 0x1F1E6, 0x1F1FF


def clean(text: str, plain: bool = False) -> str:
    """One line that cannot affect a terminal: controls and invisible characters are made visible.

    `plain` leaves nothing but ASCII.
    """
    if text.isascii() and text.isprintable():
        return text
    return _clean(text, plain)


@lru_cache(maxsize=2048)
def _clean(text: str, plain: bool) -> str:
    return cleaned(text, plain)


def cleaned(text: str, plain: bool = False) -> str:
    """Like `clean`, without the cache, for text that is needed once."""
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    shown = "".join(_visible(char, before) for before, char in zip(" " + text, text, strict=False))
    return shown.replace("⏎", "\\n").encode("ascii", "backslashreplace").decode() if plain else shown


def _visible(char: str, before: str) -> str:
    if char in _BREAKS:
        return "⏎"
    if char == "\t":
        return " "
    if char in _DROPPED:
        return ""
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return char if before.isalpha() and cell_len(char) == 0 else ""
    if char.isprintable() and char not in _BLANK_LETTERS:
        return _flag(char)
    return _spelled(char)


def _flag(char: str) -> str:
    """A regional indicator as a letter: terminals disagree on whether a pair takes two cells or four."""
    code = ord(char)
    return chr(code - _FLAG_A + ord("A")) if _FLAG_A <= code <= _FLAG_Z else char


def _spelled(char: str) -> str:
    code = ord(char)
    if unicodedata.category(char) == "Zs":
        return " "
    if code < 0x80:
        return f"\\x{code:02x}"
    return char.encode("ascii", "backslashreplace").decode()


def cells(text: str) -> int:
    """How many cells of a terminal the clean `text` takes."""
    return len(text) if text.isascii() else cell_len(text)


def fit(text: str, room: int, ellipsis: str = "…") -> str:
    """The clean `text` in exactly so many cells: cut with an ellipsis, or padded."""
    short = shorten(text, room, ellipsis)
    return short + " " * (room - cells(short))


def shorten(text: str, room: int, ellipsis: str = "…") -> str:
    """The clean `text` in at most so many cells."""
    if cells(text) <= room:
        return text
    return _cut(text, room - cells(ellipsis)) + ellipsis if room > 0 else ""


def _cut(text: str, room: int) -> str:
    if text.isascii():
        return text[: max(0, room)]
    used = 0
    for index, char in enumerate(text):
        used += cell_len(char)
        if used > room:
            return text[:index]
    return text


def countdown(seconds: float) -> str:
    """Time left: `02:11`, `1h28m`, `3d04h`, down to `00:00`, then `now`."""
    return "now" if seconds <= 0 else elapsed(seconds)


def limit(seconds: float) -> str:
    """A timeout, as short as possible: `30s`, `2m`, `1h30m`."""
    return short_duration(round(seconds, 1 if seconds < 10 else None))


def of_limit(gone: float, timeout: float) -> str:
    """How long a run has taken, and its timeout, if it has one: `02:41 of 5m`."""
    return f"{elapsed(gone)} of {limit(timeout)}" if timeout < LONGEST else elapsed(gone)


def count(number: int) -> str:
    """A number in at most six cells: `42`, `9,999`, `61.2k`, `1.24M`."""
    if number < 10_000:
        return f"{number:,}"
    size, unit = (1000, "k") if number < 1_000_000 else (1_000_000, "M")
    whole = number // size
    digits = 2 if whole < 10 else 1 if whole < 100 else 0
    return f"{number * 10**digits // size / 10**digits:.{digits}f}{unit}"


def wall(when: float) -> str:
    """The local time of day: `14:03:22`."""
    return time.strftime("%H:%M:%S", time.localtime(when))


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells; a longer word is cut, after a `/` where that fills half a line."""
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
        at = 0
        while at < len(word):  # by position: a word may be a line of half a million characters
            rows.append(_first_row(word, at, width))
            at += len(rows[-1])
        row = rows.pop() if word else ""
    return [*rows, row]


def _first_row(word: str, at: int, width: int) -> str:
    part = _cut(word[at : at + width], width) or word[at]
    if at + len(part) == len(word):
        return part
    return part[: part.rfind("/", len(part) // 2) + 1] or part


def day_and_time(when: float, now: float) -> str:
    """Day and time to the second, in a fixed width: `today 14:02:11`, `Mon   14:02:11`, `02-27 14:02:11`."""
    day = day_of(when, now)[-5:] or "today"
    return f"{day:<5} {clock(when, '%H:%M:%S')}"
