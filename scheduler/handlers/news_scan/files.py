"""Keeps a citizen's news, one file of lines per day in news/, and drops old days."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from scheduler.handlers.ages import believed_today
from scheduler.handlers.home_files import append_lines, task_fails
from scheduler.system.foreign_home import remove

MOST = 512 << 20  # bytes of all days together
LONGEST = 1 << 20  # bytes read of a line

_DAY = re.compile(r"\d{4}-\d\d-\d\d\.jsonl")


class NewsFiles:
    """Writes today's lines; raises TaskFailed if they cannot be written."""

    def __init__(self, home: Path, now: float) -> None:
        self._folder, self._today = home / "news", datetime.fromtimestamp(now, UTC).date()
        self._file = self._folder / f"{self._today}.jsonl"
        # A killed scan may have written items and not remembered them.
        self._written = set(self._ids())

    def add(self, lines: Iterable[tuple[str, bytes]]) -> int:
        """Append the lines whose ids are not there yet; returns how many."""
        new = {key: line for key, line in lines if key not in self._written}
        if new:
            append_lines(self._file, b"".join(line + b"\n" for line in new.values()))
            self._written |= new.keys()
        return len(new)

    def sync(self) -> None:
        """Sync the lines to disk; only then may their items be remembered as seen."""
        if self._file.exists():
            with self._file.open("rb") as lines, suppress(OSError):
                os.fsync(lines.fileno())

    def prune(self, keep: float) -> None:
        """Remove days older than `keep` seconds, and the oldest while all are too large together."""
        with suppress(OSError):  # the next scan tries again
            days = self._days()
            today = believed_today(self._today, _dates(days))
            oldest = f"{today - timedelta(seconds=keep)}.jsonl"
            too_old = [day for day in days if day.name < oldest]
            sizes = {day: day.stat().st_size for day in days if day not in too_old}
            for day in too_old:
                remove(day)
            for day in list(sizes)[:-1]:
                if sum(sizes.values()) > MOST and day != self._file:
                    remove(day)
                    del sizes[day]

    def _days(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(file for file in self._folder.iterdir() if _DAY.fullmatch(file.name) and file.is_file())

    def _ids(self) -> Iterator[str]:
        """The ids in the newest file and in today's, which differ after a clock was ahead."""
        with task_fails(self._folder, "cannot be read; correct its owner"):
            days = self._days()
            for file in {*days[-1:], *(day for day in days if day == self._file)}:
                with file.open("rb") as lines:
                    while line := lines.readline(LONGEST):
                        yield from _id(line)


def _dates(days: Iterable[Path]) -> Iterator[date]:
    for day in days:
        with suppress(ValueError):  # 31 February
            yield date.fromisoformat(day.stem)


def _id(line: bytes) -> Iterator[str]:
    with suppress(ValueError, RecursionError):
        found = json.loads(line)
        if isinstance(found, dict) and isinstance(found.get("id"), str):
            yield found["id"]
