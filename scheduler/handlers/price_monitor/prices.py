"""What a price is: an exact decimal, read from the very text that the source sent."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,2})?", re.ASCII)
_MILLISECONDS = 1e11  # a Unix time above this is one in milliseconds
AHEAD = 300.0  # seconds by which a clock of theirs may be fast


class NoPrice(ValueError):
    """Why there is no price to be had; one line."""


class Number(str):
    """A JSON number as it was written: a float would not be the same."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Price:
    """A price above nothing: its value, the text it came in, and when it was made, if that was said."""

    value: Decimal
    text: str
    at: float | None = None


def document(body: bytes) -> Any:
    """The JSON in an answer, its numbers as text; raises NoPrice."""
    if body.lstrip()[:1] == b"<":
        raise NoPrice("a web page (HTML) came instead of JSON")
    try:
        return json.loads(body, parse_float=Number, parse_int=Number, parse_constant=Number)
    except (ValueError, RecursionError) as error:
        raise NoPrice("what came is no JSON, or half of it" if body.strip() else "nothing came") from error


def price(found: Any, at: Any = None) -> Price:
    """What was found as a price, made at `at`; raises NoPrice unless it is a number above 0."""
    if found is None:
        raise NoPrice("the price is null")
    if not isinstance(found, str):
        raise NoPrice("the price is no number")
    text = found.strip()
    if text.lower().lstrip("+-") in ("nan", "snan", "inf", "infinity"):
        raise NoPrice("the price is not finite")
    if not _NUMBER.fullmatch(text):
        raise NoPrice("the price is no number")
    value = Decimal(text)
    if value <= 0:
        raise NoPrice("the price is negative" if value < 0 else "the price is 0")
    return Price(value, text, moment(at))


def moment(value: Any) -> float | None:
    """Unix seconds of a time that came in seconds, milliseconds or ISO; None for anything else."""
    if isinstance(value, Number) and _NUMBER.fullmatch(value):
        seconds = float(value)
        return seconds / 1000 if seconds > _MILLISECONDS else seconds
    try:
        found = datetime.fromisoformat(str(value))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def fresh(price: Price, now: float, stale: float) -> Price:
    """The price again; raises NoPrice if it is older than `stale` seconds, or from the future."""
    if price.at is None:
        return price
    if now - price.at > stale:
        raise NoPrice(f"the price is stale: from {_when(price.at)}")
    if price.at - now > AHEAD:
        raise NoPrice(f"the price is from the future: {_when(price.at)}")
    return price


def _when(at: float) -> str:
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return "no time of ours"


def step_into(found: Any, path: str) -> Any:
    """What is at `path`, like `data.0.amount`; raises NoPrice, which names the step that is missing."""
    walked: list[str] = []
    for step in path.split("."):
        walked.append(step)
        if isinstance(found, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(found):
            found = found[int(step)]
        elif isinstance(found, dict) and step in found:
            found = found[step]
        else:
            raise NoPrice(f"there is no {'.'.join(walked)} in the answer")
    return found
