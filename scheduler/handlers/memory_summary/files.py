"""Finds and reads the files of a citizen's memory."""

import json
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from scheduler.storage.failure_journal import NoDay, parse_day
from scheduler.system.files import NotRegular, quarantine, read_file

_FOUR, _TWO = "[0-9][0-9][0-9][0-9]", "[0-9][0-9]"


def day_file(home: Path, kind: str, day: date) -> Path:
    """The file of this day in memory/raw or memory/daily."""
    return home / "memory" / kind / f"{day:%Y/%m/%d}.json"


def days_in(home: Path, kind: str) -> list[date]:
    """The days that have a file, oldest first."""
    return sorted(_days(home / "memory" / kind))


def _days(folder: Path) -> Iterator[date]:
    for file in folder.glob(f"{_FOUR}/{_TWO}/{_TWO}.json"):
        try:
            yield date(int(file.parts[-3]), int(file.parts[-2]), int(file.stem))
        except ValueError:
            continue  # 31 February


def content_of(file: Path) -> bytes:
    """The content of the file; raises NoDay if it cannot be read, is too long or is endless."""
    try:
        return read_file(file)
    except FileNotFoundError as error:
        raise NoDay("no file") from error
    except OSError as error:
        raise NoDay(error.strerror or "cannot be read") from error


def events_of(home: Path, day: date) -> Sequence[dict[str, Any]]:
    """The events of a raw day; none if it cannot be read."""
    try:
        return parse_day(content_of(day_file(home, "raw", day))).events
    except NoDay:
        return ()


def summary_of(file: Path) -> dict[str, Any]:
    """The summary in the file; an empty one if it is missing or cannot be read."""
    try:
        return summary_in(file) or {}
    except NoDay:
        return {}


def summary_in(file: Path) -> dict[str, Any] | None:
    """The summary in the file, None if there is none; moves an invalid file aside. Raises NoDay."""
    try:
        found = json.loads(read_file(file))
    except FileNotFoundError:
        return None
    except (NotRegular, IsADirectoryError, ValueError, RecursionError):
        found = None
    except OSError as error:
        raise NoDay(f"its summary: {error.strerror}") from error
    if isinstance(found, dict):
        return found
    quarantine(file)
    return None
