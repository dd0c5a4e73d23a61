"""One day of events in a few lines: what there was, what failed, and the day's own most telling words."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from scheduler.core.schedule import unix

FAILURES = 20  # kept of one day
TELLING = 5  # lines quoted of one day
WIDTH = 200  # characters of each line

Event = Mapping[str, Any]

_TEXTS = ("content", "text", "message", "summary", "error")
_BAD = frozenset({"failed", "timed out", "interrupted", "error"})


def summary(day: date, events: Sequence[Event]) -> dict[str, Any]:
    """What the daily file holds of these events."""
    counts = Counter(_type(event) for event in events)
    failures = [f"{clock_of(event)} {line_of(event)}".strip() for event in events if failed(event)]
    return {
        "date": day.isoformat(),
        "event_count": len(events),
        "summary": "\n".join(_lines(day, events, counts, len(failures))),
        "counts": dict(counts.most_common()),
        "failures": failures[:FAILURES],
    }


def _lines(day: date, events: Sequence[Event], counts: Counter[str], failures: int) -> Iterable[str]:
    if not events:
        return [f"{day}: nothing happened."]
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common(8))
    failed = f"; {failures} failed" if failures else ""
    return [f"{day}: {len(events)} events ({kinds}){failed}.", *(f"- {line}" for line in _telling(events))]


def _telling(events: Sequence[Event]) -> list[str]:
    """The lines whose words come back most often over the day, in the order in which they were written."""
    lines = list(dict.fromkeys(line for line in map(line_of, events) if line))
    frequency = Counter(word for line in lines for word in _words(line))
    best = sorted(lines, key=lambda line: -_weight(line, frequency))[:TELLING]
    return [line for line in lines if line in best]


def _weight(line: str, frequency: Counter[str]) -> float:
    words = _words(line)
    return sum(frequency[word] for word in words) / (len(words) + 3)  # a single common word is no sentence


def _words(line: str) -> set[str]:
    return {word.lower() for word in re.findall(r"\w{4,}", line)}


def _type(event: Event) -> str:
    return str(event.get("type") or event.get("kind") or "event")[:60]


def failed(event: Event) -> bool:
    bad_type = re.search(r"fail|error|timeout", _type(event), re.IGNORECASE)
    return bool(bad_type) or event.get("success") is False or str(event.get("outcome")) in _BAD


def line_of(event: Event) -> str:
    """The event's own words, first line only."""
    for name in _TEXTS:
        if value := event.get(name):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            return next((line.strip()[:WIDTH] for line in text.splitlines() if line.strip()), "")
    return ""


def clock_of(event: Event) -> str:
    value = event.get("time", event.get("timestamp"))
    seconds = value if isinstance(value, int | float) else unix(value)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%H:%M}" if seconds is not None else ""
    except (ValueError, OverflowError, OSError):
        return ""  # a time, but no time of ours
