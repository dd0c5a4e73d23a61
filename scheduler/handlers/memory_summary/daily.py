"""Writes daily summaries: for each finished day that has none, or has changed since."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import unix
from scheduler.core.state import first_line
from scheduler.handlers.home_files import task_fails
from scheduler.handlers.memory_summary.files import content_of, day_file, days_in, summary_in
from scheduler.storage.failure_journal import NoDay, parse_day
from scheduler.system.files import write_json

Progress = Callable[[float, float, str], None]

FAILURES = 20  # kept per day
QUOTED = 5  # lines quoted per day
WIDTH = 200  # characters of each line

Event = Mapping[str, Any]

_TEXTS = ("content", "text", "message", "summary", "error")
_BAD = frozenset({"failed", "timed out", "interrupted", "error"})
OF_A_MODEL = ("extract", "model", "duration", "cut")  # the keys that a model's prose adds


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a day was summarised, and the problem with it."""

    summarised: bool = False
    problem: str = ""


def summarise_days(home: Path, today: date, progress: Progress) -> list[Outcome]:
    """Bring memory/daily up to date with all days before `today`; raises TaskFailed if it cannot be saved."""
    days = [day for day in days_in(home, "raw") if day < today]
    outcomes = []
    for number, day in enumerate(days):
        progress(number, len(days), day.isoformat())
        outcomes.append(_summarise_day(home, day))
    return outcomes


def _summarise_day(home: Path, day: date) -> Outcome:
    try:
        content = content_of(day_file(home, "raw", day))
        source = hashlib.sha256(content).hexdigest()
        daily = day_file(home, "daily", day)
        old = summary_in(daily)
        if not needs_summary(old, source):
            return Outcome()
        found = parse_day(content)
    except NoDay as error:
        return Outcome(problem=f"{day}: {error}")
    save(daily, {**carried_over(old), **summary(day, found.events), "source": source})
    return Outcome(True, f"{day}: {found.odd} entries are not events" if found.odd else "")


def needs_summary(old: dict[str, Any] | None, source: str) -> bool:
    """Whether the day needs a new summary; one without `source` is not this task's and stays as it is."""
    return old is None or ("source" in old and old["source"] != source)


def carried_over(old: dict[str, Any] | None) -> dict[str, Any]:
    """The keys kept when a summary is rewritten: all but those from a model."""
    return {name: value for name, value in (old or {}).items() if name not in OF_A_MODEL}


def save(file: Path, content: dict[str, Any]) -> None:
    """Write a summary; raises TaskFailed."""
    with task_fails(file, "cannot be saved"):
        write_json(file, content)


# ------------------------------------------------------------------ one day


def summary(day: date, events: Sequence[Event]) -> dict[str, Any]:
    """The content of the daily file for these events."""
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
    failed = f"; {failures} failed" if failures else ""
    return [
        f"{day}: {len(events)} events ({describe_counts(counts)}){failed}.",
        *(f"- {line}" for line in _representative_lines(events)),
    ]


def describe_counts(counts: Counter[str]) -> str:
    """The most frequent kinds of events, with their numbers."""
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common(8))


def _representative_lines(events: Sequence[Event]) -> list[str]:
    """The lines whose words recur most over the day, in the order in which they were written."""
    lines = list(dict.fromkeys(line for line in map(line_of, events) if line))
    frequency = Counter(word for line in lines for word in _words(line))
    best = sorted(lines, key=lambda line: -_weight(line, frequency))[:QUOTED]
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
    """The event's text, first line only."""
    for name in _TEXTS:
        if value := event.get(name):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            return first_line(text)[:WIDTH]
    return ""


def clock_of(event: Event) -> str:
    """The event's time of day in UTC; "" without a valid one."""
    value = event.get("time", event.get("timestamp"))
    seconds = value if isinstance(value, int | float) else unix(value)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%H:%M}" if seconds is not None else ""
    except (ValueError, OverflowError, OSError):
        return ""
