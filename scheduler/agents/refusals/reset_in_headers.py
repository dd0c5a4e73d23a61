"""Reads when a service takes requests again from numbers and headers; `reset_in_text` does so from text.

All moments are Unix seconds. A moment that cannot be right (0, -1, the past, years ahead) counts as none.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from scheduler.agents.refusals.in_english import in_english

_LONGEST = 400 * 86400.0  # seconds: moments further ahead are ignored
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
UNIT = r"(?:ms|milliseconds?|w(?:eeks?)?|d(?:ays?)?|h(?:(?:ou)?rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)"
_PART = re.compile(rf"(\d+(?:\.\d+)?|\ban?(?=\s))\s*({UNIT})(?![a-z])", re.IGNORECASE)
_RETRY_AFTER = re.compile(r"(?:^|-)retry-after(?:-ms|-s|-sec|-seconds)?$")
_NOTHING_LEFT = re.compile(r"\b(?:r|remaining)=0\b.*?\b(?:t|reset)=(\d{1,9})\b")  # "default";r=0;t=30
_COMPACT = re.compile(rf"(\d+(?:\.\d+)?)({UNIT})")


def moment_of(number: float, now: float) -> float | None:
    """The moment that a bare number means: epoch seconds or milliseconds, else seconds from now."""
    if number > 1e11:
        number /= 1000
    moment = number if number > 1e9 else now + number
    return moment if now < moment < now + _LONGEST else None


# ------------------------------------------------------------------ headers


def moment_in_headers(headers: Mapping[str, str], now: float) -> float | None:
    """The moment in `Retry-After`, else the latest reset among the windows with nothing left."""
    found = filter(_RETRY_AFTER.search, headers)
    for name in sorted(found, key=lambda each: not each.endswith("-ms")):  # the finer ones first
        value = headers[name].strip(' "')
        finer = _number(value) if name.endswith("-ms") else None
        if moment := _moment_in_value(value, now) if finer is None else moment_of(finer / 1000, now):
            return moment
    resets = _NOTHING_LEFT.findall(headers.get("ratelimit", ""))
    resets += (headers.get(reset, "") for reset in _exhausted(headers))
    return max(filter(None, (_moment_in_value(reset, now) for reset in resets)), default=None)


def _exhausted(headers: Mapping[str, str]) -> Iterator[str]:
    """The names of the reset headers of windows with nothing left."""
    for name, value in headers.items():
        if "remaining" in name and _number(value) == 0:
            yield name.replace("remaining", "reset")
            yield name.replace("remaining", "reset-after")
        if name.endswith("-used-percent") and (_number(value) or 0) >= 100:
            yield name.replace("used-percent", "reset-at")
        if name.endswith("-status") and value == "rejected":
            yield name.removesuffix("status") + "reset"
    if "anthropic-ratelimit-unified-reset" in headers:
        yield "anthropic-ratelimit-unified-reset"


def _moment_in_value(value: str, now: float) -> float | None:
    """A header's value: seconds, an epoch, a span (1h2m3s), an ISO time, or an HTTP date.

    Two headers of one name come as one value with a comma, and some servers add a comment.
    """
    value = in_english(value.strip())
    if found := re.fullmatch(r"(\w+)\s*[;,].*", value) if value[:1].isdigit() else None:
        value = found[1]
    if (number := _number(value)) is not None:
        return moment_of(number, now)
    if re.fullmatch(rf"(?:\d+(?:\.\d+)?\s*{UNIT}\s*)+", value):
        return moment_of(seconds_of(value), now)
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            date = read(value)
        except ValueError:
            continue
        return ahead(date if date.tzinfo else date.replace(tzinfo=UTC), now)
    return None


def ahead(date: datetime, now: float) -> float | None:
    """The moment of the date, if a service may plausibly take requests again then."""
    moment = date.timestamp()
    return moment if now < moment < now + _LONGEST else None


def seconds_of(span: str) -> float:
    """The length of a span such as `1h2m3s`, `2 days 17 hours` or `an hour`."""
    parts = _PART.findall(span) or _COMPACT.findall(span)
    return sum((1.0 if number[0] in "aA" else float(number)) * _unit(unit) for number, unit in parts)


def _unit(word: str) -> float:
    return _UNITS["ms" if word.lower().startswith(("ms", "milli")) else word[0].lower()]


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d{1,15}(?:\.\d+)?", text.strip(), re.ASCII) else None
