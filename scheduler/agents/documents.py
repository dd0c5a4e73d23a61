"""The JSON documents in what a program printed, whatever stands around them; numbers stay exact."""

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Context, Decimal
from typing import Any

from scheduler.executors.output import ESCAPES

LAST = 4000  # characters at the end of plain text in which a reason is looked for
_EXACT = Context(prec=100)  # the default rounds sums to 28 digits


def _no_number(word: str) -> None:
    """NaN and Infinity are no amount of anything."""
    return None


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_number)


def documents(output: str) -> list[dict[str, Any]]:
    """The objects that begin a line, each a line or longer; what is cut off or broken is left out."""
    return [each for each in _parts(output) if isinstance(each, dict)]


def decoded(content: bytes) -> dict[str, Any] | None:
    """The one object that this is, None if it is anything else."""
    try:
        document = json.loads(content, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def plain_text(output: str) -> str:
    """The end of what is no JSON: error messages and the like."""
    return "\n".join(each for each in _parts(output) if isinstance(each, str))[-LAST:]


def _parts(output: str) -> Iterator[dict[str, Any] | str]:
    """Documents and, between them, lines of text; lines that only begin like a document are dropped."""
    text, at = ESCAPES.sub("", output).replace("\r\n", "\n"), 0
    while at < len(text):
        end = text.find("\n", at) % (len(text) + 1)
        if text[at] == "{":
            try:
                document, end = _DECODER.raw_decode(text, at)
                yield document
            except (ValueError, RecursionError):
                pass
        elif line := text[at:end].strip():
            yield line
        at = end + 1


def at(document: Any, *path: str) -> Any:
    """What lies at this path of keys; None if any of them is missing."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def words(value: Any) -> str:
    return value if isinstance(value, str) else ""


def whole(value: Any) -> int | None:
    """A count; None for anything else, negative numbers included."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def money(value: Any) -> Decimal | None:
    """An amount; None for anything else: text, less than nothing, NaN."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
        return None
    return Decimal(value)


def total(values: Iterable[int | None]) -> int | None:
    """The sum of the counts that are known; None without any."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def total_money(values: Iterable[Decimal | None]) -> Decimal | None:
    """The exact sum of the amounts that are known; None without any."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    amount = Decimal(0)
    for value in known:
        amount = _EXACT.add(amount, value)
    return amount
