"""memory_summary: a summary of every finished day that has none, or has changed since."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ..errors import TaskFailed
from ..files import set_aside, write_json
from ..memory import LIMIT, NoDay, parse_day
from ..model import Context, Report
from .day_summary import summary

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """memory_summary has no keys of its own."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one day: summarised or not, and what was wrong with it."""

    summarised: bool = False
    problem: str = ""


async def memory_summary(ctx: Context) -> str | Report:
    """How many days were summarised; a warning names the days that could not be read."""
    from asyncio import to_thread  # 50 ms that whoever only reads settings need not pay

    from ..clock import SystemClock

    today = datetime.fromtimestamp(SystemClock.now(), UTC).date()
    return await to_thread(summarise, ctx.home, today, ctx.progress)


def summarise(home: Path, today: date, progress: Progress) -> str | Report:
    """Bring memory/daily up to date with all days before `today`; raises TaskFailed if it cannot be saved."""
    days = sorted(day for day in _raw_days(home / "memory" / "raw") if day < today)
    outcomes = []
    for number, day in enumerate(days):
        progress(number, len(days), day.isoformat())
        outcomes.append(_summarise_day(home, day))
    done = sum(outcome.summarised for outcome in outcomes)
    text = f"{done} {'day' if done == 1 else 'days'} summarised" if done else "nothing new"
    problems = [outcome.problem for outcome in outcomes if outcome.problem]
    return Report(_with(text, problems), warning=True) if problems else text


def _with(text: str, problems: list[str]) -> str:
    more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
    return f"{text}; {len(problems)} with problems: {'; '.join(problems[:3])}{more}"


def _raw_days(raw: Path) -> Iterator[date]:
    for file in raw.glob("[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9].json"):
        try:
            yield date(int(file.parts[-3]), int(file.parts[-2]), int(file.stem))
        except ValueError:
            continue  # the 31st of February is nobody's day


def _file(home: Path, kind: str, day: date) -> Path:
    return home / "memory" / kind / f"{day:%Y/%m/%d}.json"


def _summarise_day(home: Path, day: date) -> Outcome:
    try:
        content = _content(_file(home, "raw", day))
        source = hashlib.sha256(content).hexdigest()
        daily = _file(home, "daily", day)
        old = _daily(daily)
        if not _wanted(old, source):
            return Outcome()
        found = parse_day(content)
    except NoDay as error:
        return Outcome(problem=f"{day}: {error}")
    _save(daily, {**(old or {}), **summary(day, found.events), "source": source})
    return Outcome(True, f"{day}: {found.odd} entries are no events" if found.odd else "")


def _wanted(old: dict[str, Any] | None, source: str) -> bool:
    """A day file without `source` was written by somebody else and stays as it is."""
    return old is None or ("source" in old and old["source"] != source)


def _content(file: Path) -> bytes:
    try:
        if not file.is_file():
            raise NoDay("no file")
        if file.stat().st_size > LIMIT:
            raise NoDay("too long to be read")
        return file.read_bytes()
    except OSError as error:
        raise NoDay(error.strerror or "cannot be read") from error


def _daily(file: Path) -> dict[str, Any] | None:
    """The summary there is; what is none is set aside."""
    try:
        found = json.loads(file.read_bytes()) if file.is_file() or not file.exists() else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoDay(f"its summary: {error.strerror}") from error
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    set_aside(file)
    return None


def _save(file: Path, content: dict[str, Any]) -> None:
    try:
        write_json(file, content)
    except OSError as error:
        raise TaskFailed(f"{file} cannot be saved: {error.strerror}") from error
