"""Where a citizen's memory lies, and how its files are read without being held up by what is none."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from scheduler.storage.memory import LIMIT, NoDay
from scheduler.system.files import quarantine

_FOUR, _TWO = "[0-9][0-9][0-9][0-9]", "[0-9][0-9]"


def day_file(home: Path, kind: str, day: date) -> Path:
    """The file of this day in memory/raw or memory/daily."""
    return home / "memory" / kind / f"{day:%Y/%m/%d}.json"


def days_in(home: Path, kind: str) -> list[date]:
    """The days that have a file, the oldest first."""
    return sorted(_days(home / "memory" / kind))


def _days(folder: Path) -> Iterator[date]:
    for file in folder.glob(f"{_FOUR}/{_TWO}/{_TWO}.json"):
        try:
            yield date(int(file.parts[-3]), int(file.parts[-2]), int(file.stem))
        except ValueError:
            continue  # the 31st of February is nobody's day


def content_of(file: Path) -> bytes:
    """What is in the file; raises NoDay for whatever cannot be read, is too long, or would not end."""
    try:
        if not file.is_file():
            raise NoDay("no file")
        if file.stat().st_size > LIMIT:
            raise NoDay("too long to be read")
        return file.read_bytes()
    except OSError as error:
        raise NoDay(error.strerror or "cannot be read") from error


def summary_in(file: Path) -> dict[str, Any] | None:
    """The summary in the file, None if there is none; what is no summary is set aside. Raises NoDay."""
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
    quarantine(file)
    return None
