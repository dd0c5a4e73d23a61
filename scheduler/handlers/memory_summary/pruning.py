"""Removes raw days long after they were summarised, and very old summaries."""

import contextlib
import hashlib
import re
from datetime import date
from pathlib import Path

from scheduler.handlers.home_files import task_fails
from scheduler.handlers.memory_summary.files import content_of, day_file, days_in, summary_of
from scheduler.handlers.memory_summary.rollup import KINDS, Period, month_of, week_of
from scheduler.storage.failure_journal import NoDay
from scheduler.system.foreign_home import remove


def prune_raw(home: Path, before: date) -> int:
    """Remove raw days before that day if this task has summarised them; returns how many."""
    old = [day for day in days_in(home, "raw") if day < before]
    return sum(_remove(day_file(home, "raw", day)) for day in old if _is_summarised(home, day))


def prune_summaries(home: Path, before: date) -> int:
    """Remove this task's summaries of periods that ended before that day; returns how many."""
    files = [day_file(home, "daily", day) for day in days_in(home, "daily") if day < before]
    files += [period.file(home) for period in _periods(home) if period.last < before]
    return sum(_remove(file) for file in files if "source" in summary_of(file))


def _is_summarised(home: Path, day: date) -> bool:
    try:
        content = content_of(day_file(home, "raw", day))
    except NoDay:
        return False
    return summary_of(day_file(home, "daily", day)).get("source") == hashlib.sha256(content).hexdigest()


def _periods(home: Path) -> list[Period]:
    found = []
    for kind in KINDS:
        for file in (home / "memory" / kind).glob("[0-9][0-9][0-9][0-9]/*.json"):
            with contextlib.suppress(ValueError):  # the 60th week
                found.append(_period(int(file.parts[-2]), file.stem))
    return found


def _period(year: int, name: str) -> Period:
    if match := re.fullmatch(r"W(\d\d)", name):
        return week_of(date.fromisocalendar(year, int(match[1]), 1))
    if re.fullmatch(r"\d\d", name):
        return month_of(date(year, int(name), 1))
    raise ValueError(name)


def _remove(file: Path) -> bool:
    with task_fails(file, "is old and cannot be removed"):
        remove(file)
    for folder in (file.parent, file.parent.parent):
        with contextlib.suppress(OSError):  # the folder is not empty
            folder.rmdir()
    return True
