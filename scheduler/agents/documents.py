"""Finds the JSON documents in a program's output, whatever surrounds them; numbers stay exact."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any

from scheduler.executors.output import ESCAPES

LAST = 4000  # characters at the end of plain text that are searched for a reason
DIGITS = 100  # of a whole number; no count is longer
_FRAME = re.compile(r"at .*:\d+:\d+\)?( \{)?")
# The default rounds sums to 28 digits, and raises on large exponents.
_EXACT = Context(prec=100, Emax=MAX_EMAX, Emin=MIN_EMIN)
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff]")  # control characters, and byte order marks


def _no_number(word: str) -> None:
    """Read NaN and Infinity as None."""
    return None


def _fraction(digits: str) -> Decimal | None:
    try:
        return Decimal(digits)
    except InvalidOperation:  # an exponent beyond all bounds
        return None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= DIGITS else None


_DECODER = json.JSONDecoder(parse_float=_fraction, parse_int=_whole, parse_constant=_no_number)


def documents(output: str) -> list[dict[str, Any]]:
    """The objects that begin at the start of a line, of one line or more, without cut or broken ones.

    The objects in an array count one by one. If no line begins with an object, those that end a line count: a
    log prefix, or an unfinished line of another stream, may come before them.
    """
    parts = list(_parts(output))
    found = [each for each in parts if isinstance(each, dict)]
    return found or [each for line in parts if (each := _at_the_end(line)) is not None]


def decoded(content: bytes) -> dict[str, Any] | None:
    """The object that `content` consists of, None if it is anything else."""
    try:
        document = _DECODER.decode(content.decode("utf-8-sig").strip())
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def plain_text(output: str) -> str:
    """The end of the output that is not JSON: error messages and the like, without the stacks of Node."""
    lines = (each for each in _parts(output) if isinstance(each, str))
    return "\n".join(line for line in lines if not _FRAME.fullmatch(line))[-LAST:]


def printed(output: str) -> str:
    """The output as lines of text, without colours, cursor moves and other invisible characters."""
    return _INVISIBLE.sub("", ESCAPES.sub("", output).replace("\r\n", "\n").replace("\r", "\n"))


def _parts(output: str) -> Iterator[dict[str, Any] | str]:
    """Documents and the lines of text between them, without lines that only begin like an object."""
    text, start = printed(output), 0
    while start < len(text):
        end = text.find("\n", start) % (len(text) + 1)
        line = text[start:end].strip()
        document, after = _document(text, text.index(line, start)) if line[:1] in ("{", "[") else (None, 0)
        if document is not None:
            yield from document
            start = after
            continue
        if line and line[0] != "{":
            yield line
        start = end + 1


def _document(text: str, start: int) -> tuple[list[dict[str, Any]] | None, int]:
    """The objects of the document that begins here, and where it ends; None if there is none."""
    try:
        document, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, start
    each = document if isinstance(document, list) else [document]
    return (each, end) if each and all(isinstance(one, dict) for one in each) else (None, start)


def _at_the_end(line: Any) -> dict[str, Any] | None:
    if not isinstance(line, str) or (start := line.find("{")) < 0:
        return None
    found, end = _document(line, start)
    return found[0] if found and end == len(line) else None


def at(document: Any, *path: str) -> Any:
    """The value at this path of keys; None if any of them is missing."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def words(value: Any) -> str:
    return value if isinstance(value, str) else ""


def whole(value: Any) -> int | None:
    """A count, which may be written as 3.0; None for anything else, including negative numbers."""
    if isinstance(value, Decimal) and 0 <= value < 10**DIGITS and value == value.to_integral_value():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def said(value: Any) -> str:
    """The words of an error: a text, or an object with a message; empty for anything else."""
    return words(value) or words(at(value, "message"))


def money(value: Any) -> Decimal | None:
    """An amount; None for anything else, such as text, a negative number or NaN."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
        return None
    return Decimal(value)


def total(values: Iterable[int | None]) -> int | None:
    """The sum of the known counts; None if there are none."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def total_money(values: Iterable[Decimal | None]) -> Decimal | None:
    """The exact sum of the known amounts; None if there are none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    amount = Decimal(0)
    for value in known:
        amount = _EXACT.add(amount, value)
    return amount
