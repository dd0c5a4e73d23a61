"""Shows a plan: as a table that fits a terminal, or as JSON."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from scheduler.core.text import clean
from scheduler.migration.plan import CrontabPlan, Fate, LinePlan, Wanted

NARROWEST = 60  # columns: below that the terminal wraps, not we
WIDEST = 30  # of the second column
INDENT = 8


def lines(sheet: CrontabPlan, wanted: Wanted, width: int) -> Iterator[str]:
    """A row for each line of the crontab, more where there is more to say, and the counts."""
    width = max(NARROWEST, width)
    users = " (with a column of users)" if sheet.column else ""
    yield clean(f"{sheet.source.label}{users}: {len(sheet.verdicts)} lines")
    yield ""
    yield " line  becomes"
    names = [len(_becomes(verdict)) for verdict in sheet.verdicts]
    wide = min(max(names, default=0), WIDEST)
    for verdict in sheet.verdicts:
        yield from _row(verdict, wanted, wide, width)
    yield ""
    yield _counted(sheet)


def _row(verdict: LinePlan, wanted: Wanted, wide: int, width: int) -> Iterator[str]:
    text = clean(verdict.line.text.replace("\t", " "))
    row = f"{verdict.line.number:5}  {_becomes(verdict):{wide}}  {text}"
    yield row.rstrip() if len(row) <= width else row[: width - 1] + "…"
    for title, more in _more(verdict, wanted):
        yield from _wrapped(f"{'':{INDENT}}{title}: {clean(more)}", INDENT + len(title) + 2, width)


def _wrapped(text: str, indent: int, width: int) -> Iterator[str]:
    """Broken at blanks; textwrap takes longer for that than the rest of this table."""
    while len(text) > width:
        at = text.rfind(" ", indent + 1, width + 1)
        end, rest = (width, width) if at < 0 else (at, at + 1)
        yield text[:end]
        text = " " * indent + text[rest:]
    yield text


def _becomes(verdict: LinePlan) -> str:
    match verdict.fate:
        case Fate.TASK:
            return f"task {verdict.name}"
        case Fate.WAKE:
            return "the wake"
        case Fate.NEEDS_YOU:
            return "! needs you"
        case Fate.SETTING:
            return "setting, stays"
    return f"{verdict.fate}, stays"


def _more(verdict: LinePlan, wanted: Wanted) -> Iterator[tuple[str, str]]:
    same = verdict.before == verdict.after
    if verdict.before:
        yield ("next (cron = ours)" if same else "next by cron"), ", ".join(_moments(verdict.before, wanted))
    if not same:
        yield "next by us, started now", ", ".join(_moments(verdict.after, wanted))
    if verdict.moves and verdict.work is None:
        yield "runs", "our own handler instead of the command"
    if verdict.reason:
        yield "why", verdict.reason
    if verdict.nearest:
        yield "could be", verdict.nearest
    for note in verdict.notes:
        yield "note", note


def _moments(times: Iterable[float], wanted: Wanted) -> Iterator[str]:
    """In the machine's time; the day only where it is another one."""
    last, year = None, datetime.fromtimestamp(wanted.now, wanted.zone).year
    for when in times:
        moment = datetime.fromtimestamp(when, wanted.zone)
        day, clock = moment.date(), f"{moment.hour:02}:{moment.minute:02}"
        yield clock if day == last else f"{_day(day)}{f' {day.year}' if day.year != year else ''} {clock}"
        last = day


@lru_cache(maxsize=1024)
def _day(day: date) -> str:
    return f"{day:%a %d %b}"


def _counted(sheet: CrontabPlan) -> str:
    counts = sheet.counts()
    parts = [
        f"{counts[fate]} {one if counts[fate] == 1 else many}" for fate, one, many in _WORDS if counts[fate]
    ]
    return f"{len(sheet.verdicts)} lines: {', '.join(parts) or 'none'}"


_WORDS = (
    (Fate.WAKE, "wake", "wakes"),
    (Fate.TASK, "task", "tasks"),
    (Fate.NEEDS_YOU, "needs you", "need you"),
    (Fate.SETTING, "setting", "settings"),
    (Fate.COMMENT, "comment", "comments"),
    (Fate.BLANK, "blank", "blank"),
)


# ------------------------------------------------------------------ for scripts


def as_json(sheets: Sequence[CrontabPlan], wanted: Wanted) -> dict[str, Any]:
    """All there is to know of a plan."""
    return {"citizen": wanted.citizen, "user": wanted.user, "sources": [_sheet(sheet) for sheet in sheets]}


def _sheet(sheet: CrontabPlan) -> dict[str, Any]:
    source = sheet.source
    return {
        "source": source.label,
        "path": None if source.path is None else str(source.path),
        "user_column": sheet.column,
        "counts": {"lines": len(sheet.verdicts), **sheet.counts()},
        "lines": [_verdict(verdict) for verdict in sheet.verdicts],
    }


def _verdict(verdict: LinePlan) -> dict[str, Any]:
    told: dict[str, Any] = {
        "line": verdict.line.number,
        "text": _text(verdict.line.text),
        "becomes": str(verdict.fate),
    }
    if verdict.moves:
        told |= {"name": verdict.name, "schedule": str(verdict.schedule), "timezone": verdict.zone or None}
        told |= {"next_before": _iso(verdict.before), "next_after": _iso(verdict.after)}
        told |= {"runs": _runs(verdict)}
    told |= {name: text for name in ("reason", "nearest") if (text := _text(getattr(verdict, name)))}
    return told | ({"notes": list(map(_text, verdict.notes))} if verdict.notes else {})


def _runs(verdict: LinePlan) -> dict[str, Any] | None:
    work = verdict.work
    if work is None:
        return None
    return {
        "command": list(work.argv),
        "folder": str(work.folder),
        "environment": dict(work.environment),
        "input": work.input.decode() or None,
    }


def _iso(moments: Iterable[float]) -> list[str]:
    return [datetime.fromtimestamp(each, UTC).isoformat() for each in moments]


def _text(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
