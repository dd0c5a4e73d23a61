"""Daily summaries: one for each finished day that has none, or has changed since."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from scheduler.errors import TaskFailed
from scheduler.handlers.memory_summary.day_summary import summary
from scheduler.handlers.memory_summary.files import content_of, day_file, days_in, summary_in
from scheduler.storage.memory import NoDay, parse_day
from scheduler.system.files import write_json

Progress = Callable[[float, float, str], None]

OF_A_MODEL = ("extract", "model", "duration", "cut")  # the keys that prose adds


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one day: summarised or not, and what was wrong with it."""

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
        if not is_wanted(old, source):
            return Outcome()
        found = parse_day(content)
    except NoDay as error:
        return Outcome(problem=f"{day}: {error}")
    save(daily, {**kept(old), **summary(day, found.events), "source": source})
    return Outcome(True, f"{day}: {found.odd} entries are no events" if found.odd else "")


def is_wanted(old: dict[str, Any] | None, source: str) -> bool:
    """A summary without `source` was written by somebody else and stays as it is."""
    return old is None or ("source" in old and old["source"] != source)


def kept(old: dict[str, Any] | None) -> dict[str, Any]:
    """What stays of a summary that is written anew: not what a model made of the one before."""
    return {name: value for name, value in (old or {}).items() if name not in OF_A_MODEL}


def save(file: Path, content: dict[str, Any]) -> None:
    """Write a summary; raises TaskFailed."""
    try:
        write_json(file, content)
    except OSError as error:
        raise TaskFailed(f"{file} cannot be saved: {error.strerror}") from error
