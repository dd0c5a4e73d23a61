"""Shows a plan: as a table that fits a terminal, or as JSON."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import lru_cache
from textwrap import wrap
from typing import Any

from scheduler.core.schedules.schedule import iso
from scheduler.core.wording.text import clean
from scheduler.migration.planned import CrontabPlan, Fate, LinePlan, MigrationRequest

NARROWEST = 60  # columns below which the terminal wraps the lines
INDENT = 8
_BECOMES = {Fate.WAKE: "the wake", Fate.NEEDS_YOU: "! needs you"}
_WORDS = (
    (Fate.WAKE, "wake", "wakes"),
    (Fate.TASK, "task", "tasks"),
    (Fate.NEEDS_YOU, "needs you", "need you"),
    (Fate.SETTING, "setting", "settings"),
    (Fate.COMMENT, "comment", "comments"),
    (Fate.BLANK, "blank", "blank"),
)


def lines(crontab: CrontabPlan, wanted: MigrationRequest, width: int) -> Iterator[str]:
    """A row for each line of the crontab, with further rows for its notes, and the counts."""
    width = max(NARROWEST, width)
    number = f"{len(crontab.lines)} line{'' if len(crontab.lines) == 1 else 's'}"
    yield clean(f"{crontab.source.label}{' (with a column of users)' if crontab.column else ''}: {number}")
    yield ""
    yield " line  becomes"
    notes = Counter(note for planned in crontab.lines for note in set(planned.notes))
    wide = max((len(_becomes(planned)) for planned in crontab.lines), default=0)
    for planned in crontab.lines:
        text = clean(planned.line.text.replace("\t", " "))
        row = f"{planned.line.number:5}  {_becomes(planned):{wide}}  {text}"
        yield row.rstrip() if len(row) <= width else row[: width - 1] + "…"
        own = [note for note in planned.notes if notes[note] == 1]
        for title, more in (*_more(planned, wanted), *(("note", note) for note in own)):
            yield from _wrapped(f"{'':{INDENT}}{title}: {clean(more)}", INDENT + len(title) + 2, width)
    counts = crontab.counts()
    parts = [
        f"{counts[fate]} {one if counts[fate] == 1 else many}" for fate, one, many in _WORDS if counts[fate]
    ]
    yield ""
    yield f"{number}: {', '.join(parts) or 'none'}"
    for note in (note for note, times in notes.items() if times > 1):
        where = _numbers([planned.line.number for planned in crontab.lines if note in planned.notes])
        yield from _wrapped(f"lines {where}: {clean(note)}", 2, width)


def _numbers(found: Sequence[int]) -> str:
    """Line numbers as ranges: `3-5, 8`."""
    runs: list[list[int]] = []
    for number in found:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _becomes(planned: LinePlan) -> str:
    if planned.fate is Fate.TASK:
        return f"task {planned.name}"
    return _BECOMES.get(planned.fate) or f"{planned.fate}, stays"


def _more(planned: LinePlan, wanted: MigrationRequest) -> Iterator[tuple[str, str]]:
    interval = planned.before != planned.after
    if planned.before:
        yield "next by cron" if interval else "next", ", ".join(_moments(planned.before, wanted))
    if interval:
        yield "next here, started now", ", ".join(_moments(planned.after, wanted))
    if planned.moves and planned.work is None:
        yield "runs", "the built-in handler instead of the command"
    if planned.reason:
        yield "why", planned.reason
    if planned.nearest:
        yield "could be", planned.nearest


def _moments(times: Iterable[float], wanted: MigrationRequest) -> Iterator[str]:
    """The times in the machine's zone, each with the day only if it changes."""
    shown, year = "", datetime.fromtimestamp(wanted.now, wanted.zone).year
    for when in times:
        moment = datetime.fromtimestamp(when, wanted.zone)
        day = _day(moment.date(), moment.year != year)
        yield f"{'' if day == shown else day}{moment.hour:02}:{moment.minute:02}"
        shown = day


@lru_cache(maxsize=1024)
def _day(day: date, year: bool) -> str:
    return f"{day:%a %d %b %Y} " if year else f"{day:%a %d %b} "


def _wrapped(text: str, indent: int, width: int) -> list[str]:
    """The text broken at blanks; most texts fit, and textwrap takes longer than all other work on them."""
    if len(text) <= width:
        return [text]
    return wrap(text, width, subsequent_indent=" " * indent, break_on_hyphens=False)


# ------------------------------------------------------------------ for scripts


def as_json(crontabs: Sequence[CrontabPlan], wanted: MigrationRequest) -> dict[str, Any]:
    """The whole plan."""
    return {
        "citizen": wanted.citizen,
        "user": wanted.user,
        "sources": [_crontab(crontab) for crontab in crontabs],
    }


def _crontab(crontab: CrontabPlan) -> dict[str, Any]:
    source = crontab.source
    return {
        "source": source.label,
        "path": source.path and str(source.path),
        "user_column": crontab.column,
        "counts": {"lines": len(crontab.lines), **crontab.counts()},
        "lines": [_planned_line(planned) for planned in crontab.lines],
    }


def _planned_line(planned: LinePlan) -> dict[str, Any]:
    line = planned.line
    found: dict[str, Any] = {"line": line.number, "text": _text(line.text), "becomes": str(planned.fate)}
    if planned.moves:
        work = planned.work
        found |= {
            "name": planned.name,
            "schedule": str(planned.schedule),
            "timezone": planned.zone or None,
            "next_before": [iso(each) for each in planned.before],
            "next_after": [iso(each) for each in planned.after],
            "runs": work
            and {
                "command": list(work.argv),
                "folder": str(work.folder),
                "environment": dict(work.environment),
                "input": work.input.decode() or None,
            },
        }
    more = {"reason": _text(planned.reason), "nearest": _text(planned.nearest)}
    found |= {name: text for name, text in more.items() if text}
    return found | ({"notes": list(map(_text, planned.notes))} if planned.notes else {})


def _text(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
