"""Sums up weeks and months that are over from their daily summaries, and again when one of these changes."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from scheduler.handlers.memory_summary.daily import (
    FAILURES,
    WIDTH,
    carried_over,
    describe_counts,
    needs_summary,
    save,
)
from scheduler.handlers.memory_summary.files import content_of, day_file, days_in, summary_in
from scheduler.storage.failure_journal import NoDay

KINDS = ("weekly", "monthly")
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A week or a month, from its first day to its last."""

    kind: str
    name: str
    first: date
    last: date

    def file(self, home: Path) -> Path:
        """memory/weekly/2026/W09.json or memory/monthly/2026/02.json."""
        year, _, number = self.name.partition("-")
        return home / "memory" / self.kind / year / f"{number}.json"


def week_of(day: date) -> Period:
    year, number, weekday = day.isocalendar()
    first = day - (weekday - 1) * DAY
    return Period("weekly", f"{year}-W{number:02}", first, first + 6 * DAY)


def month_of(day: date) -> Period:
    first = day.replace(day=1)
    following = (first + 31 * DAY).replace(day=1)
    return Period("monthly", f"{first:%Y-%m}", first, following - DAY)


def periods(days: Iterable[date], today: date) -> list[Period]:
    """The weeks and months of these days that are over."""
    found = {period(day) for day in days for period in (week_of, month_of)}
    return sorted(each for each in found if each.last < today)


def roll_up(home: Path, today: date, since: date) -> list[Period]:
    """Write the weeks and months since `since` that need it, and return them; raises TaskFailed.

    Earlier periods may already lack daily summaries.
    """
    days = days_in(home, "daily")
    return [
        period
        for period in periods(days, today)
        if period.first >= since
        and _roll_up(home, period, [d for d in days if period.first <= d <= period.last])
    ]


def _roll_up(home: Path, period: Period, days: Sequence[date]) -> bool:
    try:
        contents = [content_of(day_file(home, "daily", day)) for day in days]
        source = hashlib.sha256(b"\n".join(contents)).hexdigest()
        file = period.file(home)
        old = summary_in(file)
        if not needs_summary(old, source):
            return False
        dailies = {day: found for day in days if (found := summary_in(day_file(home, "daily", day)))}
    except NoDay:
        return False  # the day may be readable in the next run
    save(file, {**carried_over(old), **_rolled(period, dailies), "source": source})
    return True


def _rolled(period: Period, dailies: dict[date, dict[str, Any]]) -> dict[str, Any]:
    counts = Counter[str]()
    for daily in dailies.values():
        counts.update(_counts(daily))
    failures = [f"{day} {line}" for day, daily in dailies.items() for line in _texts(daily.get("failures"))]
    events = sum(_number(daily.get("event_count")) for daily in dailies.values())
    return {
        "period": period.name,
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "days": len(dailies),
        "event_count": events,
        "summary": "\n".join(_lines(period, dailies, events, counts, len(failures))),
        "counts": dict(counts.most_common()),
        "failures": failures[-FAILURES:],
    }


def _lines(
    period: Period, dailies: dict[date, dict[str, Any]], events: int, counts: Counter[str], failures: int
) -> Iterable[str]:
    failed = f"; {failures} failures" if failures else ""
    of_kinds = f" ({describe_counts(counts)})" if counts else ""
    head = f"{period.name}: {len(dailies)} days, {events} events{of_kinds}{failed}."
    return [head, *(f"- {day}: {line}" for day, daily in dailies.items() if (line := _typical(daily)))]


def _typical(daily: dict[str, Any]) -> str:
    """The line that represents a day: its first quoted one, else its first."""
    summary = daily.get("summary")
    lines = summary.splitlines() if isinstance(summary, str) else []
    quoted = [line[2:] for line in lines if line.startswith("- ")]
    return next((line.strip()[:WIDTH] for line in (*quoted, *lines) if line.strip()), "")


def _counts(daily: dict[str, Any]) -> dict[str, int]:
    counts = daily.get("counts")
    return {str(k): _number(v) for k, v in counts.items()} if isinstance(counts, dict) else {}


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _texts(value: Any) -> list[str]:
    return [each[:WIDTH] for each in value if isinstance(each, str)] if isinstance(value, list) else []
