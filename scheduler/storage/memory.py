"""The raw memory of a citizen: what happened on each day, in memory/raw/YYYY/MM/DD.json."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

from scheduler.system.files import quarantine, require_home, write_json

PER_DAY = 5000  # events kept of one day; the rest is only counted, in the last of them
LIMIT = 64 << 20  # bytes: what is longer was not written here, and is not read into memory
MORE = "not_kept"  # the type of the event that says how many did not fit

_writing = threading.Lock()  # runs end in many threads, and each adds to the same file


@dataclass(frozen=True, slots=True)
class Day:
    """What a raw file holds: its events, and how many entries are none."""

    events: tuple[dict[str, Any], ...]
    odd: int = 0


class NoDay(ValueError):
    """The file is not a day of events; the text says why."""


def append_event(home: Path, event: dict[str, Any], at: float) -> None:
    """Add `event` to the day of `at` (UTC), with its time; raises OSError if that cannot be saved.

    A file that cannot be understood is set aside, never overwritten.
    """
    append_events(home, [(event, at)])


def append_events(home: Path, events: Sequence[tuple[dict[str, Any], float]]) -> int:
    """Add as many of `events`, each with its time, as are of the first one's day: how many those were."""
    moments = [datetime.fromtimestamp(at, UTC) for _, at in events]
    same = list(takewhile(lambda moment: moment.date() == moments[0].date(), moments))
    path = home / "memory" / "raw" / f"{same[0]:%Y/%m/%d}.json"
    require_home(home)
    with _writing:
        content = _for_update(path)
        # v2 kept some days as an object with its events inside: whatever else is in it stays.
        kept = content["events"] if isinstance(content, dict) else content
        for moment, (event, _) in zip(same, events, strict=False):
            _add(kept, {"time": moment.isoformat(timespec="seconds"), **event})
        write_json(path, content)
    return len(same)


def parse_day(content: bytes) -> Day:
    """The events in a raw file, a list or v2's object with `events`; raises NoDay."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NoDay("no JSON") from error
    entries = found.get("events") if isinstance(found, dict) else found
    if not isinstance(entries, list):
        raise NoDay("no list of events")
    events = tuple(entry for entry in entries if isinstance(entry, dict))
    return Day(events, len(entries) - len(events))


def _for_update(path: Path) -> Any:
    try:
        size = path.stat().st_size
        if path.is_file() and size <= LIMIT:  # reading a pipe would wait for ever
            content = json.loads(path.read_bytes())
            if isinstance(content.get("events") if isinstance(content, dict) else content, list):
                return content
    except FileNotFoundError:
        return []
    except (ValueError, RecursionError):
        pass  # set aside, like any other file that is no day
    quarantine(path)
    return []


def _add(events: list[Any], event: dict[str, Any]) -> None:
    if len(events) < PER_DAY:
        events.append(event)
        return
    last = events[-1]
    if not isinstance(last, dict) or last.get("type") != MORE:
        last = {"type": MORE, "count": 0}
        events.append(last)
    last["count"] += 1
    last["time"] = event["time"]
