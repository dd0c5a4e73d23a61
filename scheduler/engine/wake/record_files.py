"""The files that name a citizen's wakes: metadata.json, wake_log.json and memory/raw."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import iso
from scheduler.engine.wake.wake_log import WAKES_KEPT, WakeLog
from scheduler.executors.result import Result
from scheduler.storage.failure_journal import Entry, write_events
from scheduler.storage.file_copies import METADATA, FileCopies
from scheduler.system.files import read_json_for_update, require_home, write_json


class RecordFiles:
    """Keeps each wake until every file has it: a full disk, or one broken file, loses none."""

    def __init__(self, home: Path, copies: FileCopies) -> None:
        self._home, self._copies, self._log = home, copies, WakeLog(home)
        self._counted: dict[str, Any] = {}
        self._entries: list[dict[str, Any]] = []
        self._events: list[Entry] = []

    def add(self, number: int, at: float, result: Result, more: Mapping[str, Any]) -> None:
        """Keep a wake that has ended, to be written."""
        entry = {"wake": number, "time": iso(at), "outcome": result.outcome, "text": result.text[:500]}
        entry |= {key: value for key, value in more.items() if key != "tasks"}
        self._counted = {"last_wake": iso(at), "wake_count": number}
        self._entries = [*self._entries, entry][-WAKES_KEPT:]
        event = {"type": "wake_complete", **entry, "tasks": more.get("tasks", 0)}
        self._events = [*self._events, (event, at)][-WAKES_KEPT:]

    def write(self) -> Iterator[OSError]:
        """Write the wakes that wait, and yield the error of each file that does not take them; blocks."""
        for step in (self._count, self._log_wakes, self._write_events):
            try:
                step()
            except OSError as error:
                yield error

    def _count(self) -> None:
        if self._counted:
            update_metadata(self._home, self._counted)
            self._copies.keep(METADATA, json.dumps(self._counted).encode())
            self._counted = {}

    def _log_wakes(self) -> None:
        if self._entries:
            self._log.add(self._entries)
            self._entries = []

    def _write_events(self) -> None:
        write_events(self._home, self._events)


def update_metadata(home: Path, values: Mapping[str, Any]) -> None:
    """Set these keys of metadata.json and keep the others; raises OSError."""
    require_home(home)
    path = home / "metadata.json"
    write_json(path, {**read_json_for_update(path), **values})
