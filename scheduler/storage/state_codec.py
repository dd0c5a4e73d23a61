"""Converts states to JSON and back: the content of the state file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_type_hints

from scheduler.core.schedules.schedule import iso
from scheduler.core.state import Failure, Skips, TaskState
from scheduler.core.task import Outcome
from scheduler.process.process_info import Running
from scheduler.process.who import Who
from scheduler.schema.json_codec import InvalidJson, from_json, reader, shortened, to_json

MAPS = ("last_run", "run_counts", "errors", "tasks")
LATEST = 1e11  # seconds, the year 5138; a larger number is in milliseconds
_HINTS = get_type_hints(TaskState)
_EXPECTED = {
    float | None: "a time in seconds",
    int: "a count",
    bool: "true or false",
    str: "text",
    str | None: "text",
    Outcome | None: "an outcome",
    Running | None: "pid, born and since",
    Who | None: "user, process and pid",
    Skips | None: "day, skipped and of",
}
_ELSEWHERE = ("last_run", "run_count", "error")  # stored in the maps that v2 reads
_ENTRY = [name for name in _HINTS if name not in _ELSEWHERE]
# Always written, so that people see these keys and can edit them.
_SHOWN = {
    "failures_in_a_row": 0,
    "last_duration": None,
    "last_success": None,
    "first_seen": None,
    "paused": False,
    "due_now": False,
    "retry_at": None,
    "running": None,
}


@dataclass(frozen=True)
class Document:
    """The content of a state file: the states, and the foreign keys, which every save keeps."""

    states: Mapping[str, TaskState] = field(default_factory=dict)
    foreign: Mapping[str, Any] = field(default_factory=dict)
    foreign_of_task: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    foreign_of_error: Mapping[str, tuple[Failure, Mapping[str, Any]]] = field(default_factory=dict)


def decode(text: str) -> tuple[Document, list[str]]:
    """The document in `text` and a line for each part of it that had to be dropped.

    Raises ValueError if it is not a JSON object.
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, not {type(content).__name__}")
    reader = _Reader(content)
    states = {name: reader.state(name) for name in reader.names()}
    foreign = {key: value for key, value in content.items() if key not in MAPS}
    return Document(states, foreign, reader.foreign, reader.foreign_of_error), reader.dropped


class _Reader:
    """Reads the valid parts of a decoded document and lists the dropped ones."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.dropped: list[str] = []
        self.foreign: dict[str, Mapping[str, Any]] = {}
        self.foreign_of_error: dict[str, tuple[Failure, Mapping[str, Any]]] = {}
        self._maps = {key: self._map(content, key) for key in MAPS}

    def names(self) -> list[str]:
        return sorted({name for entries in self._maps.values() for name in entries})

    def state(self, name: str) -> TaskState:
        entry = self._entry(name)
        values = {key: self._value(name, key, key, entry[key]) for key in _ENTRY if key in entry}
        for part, key in (("last_run", "last_run"), ("run_counts", "run_count")):
            if name in self._maps[part]:
                values[key] = self._value(part, name, key, self._maps[part][name])
        valid = {key: value for key, value in values.items() if value is not None}
        return TaskState(error=self._failure(name), **valid)

    def _value(self, where: str, label: str, key: str, raw: Any) -> Any:
        """The value of this field of a state; None when it has to be dropped."""
        try:
            return _plausible(reader(_HINTS[key])(raw))
        except InvalidJson:
            self.dropped.append(f"{where}.{label}: expected {_EXPECTED[_HINTS[key]]}, not {shortened(raw)}")
            return None

    def _map(self, content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = content.get(key, {})
        if isinstance(value, dict):
            return value
        self.dropped.append(f"{key}: expected an object, not {shortened(value)}")
        return {}

    def _entry(self, name: str) -> Mapping[str, Any]:
        entry = self._maps["tasks"].get(name, {})
        if not isinstance(entry, dict):
            self.dropped.append(f"tasks.{name}: expected an object, not {shortened(entry)}")
            return {}
        if rest := {key: value for key, value in entry.items() if key not in _ENTRY}:
            self.foreign[name] = rest
        return entry

    def _failure(self, name: str) -> Failure | None:
        value = self._maps["errors"].get(name)
        if value is None:
            return None
        if isinstance(value, str):  # the oldest files hold the bare text
            return Failure(0.0, value)
        try:
            failure = Failure(_timestamp(value.get("time")), str(value["error"]))
            if rest := {key: each for key, each in value.items() if key not in ("time", "error")}:
                self.foreign_of_error[name] = (failure, rest)
            return failure
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            self.dropped.append(f"errors.{name}: expected time and error, not {shortened(value)}")
            return None


def encode(document: Document) -> str:
    """The text of a state file: one line per task and map, so that people can read it too."""
    states = document.states
    maps: dict[str, dict[str, Any]] = {
        "last_run": {n: s.last_run for n, s in states.items() if s.last_run is not None},
        "run_counts": {n: s.run_count for n, s in states.items() if s.run_count},
        "errors": {
            n: _failure_json(s.error) | _foreign_of_error(document, n, s)
            for n, s in states.items()
            if s.error
        },
        "tasks": {n: _entry_json(s) | dict(document.foreign_of_task.get(n, {})) for n, s in states.items()},
    }
    blocks = [f"  {json.dumps(key)}: {_block(value)}" for key, value in maps.items()]
    blocks += [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in document.foreign.items()]
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def _foreign_of_error(document: Document, name: str, state: TaskState) -> dict[str, Any]:
    """The foreign keys of this error; the next error drops them."""
    failure, rest = document.foreign_of_error.get(name, (None, {}))
    return dict(rest) if failure == state.error else {}


def _block(entries: Mapping[str, Any]) -> str:
    if not entries:
        return "{}"
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(value)}" for name, value in entries.items())
    return "{\n" + lines + "\n  }"


def _entry_json(state: TaskState) -> dict[str, Any]:
    return _SHOWN | {key: value for key, value in to_json(state).items() if key not in _ELSEWHERE}


def running_from_json(value: Any) -> Running:
    """The process that `value` describes; raises InvalidJson."""
    running: Running = _plausible(from_json(Running, value))
    return running


def _failure_json(failure: Failure) -> dict[str, str]:
    return {"time": iso(failure.time), "error": failure.text}


def _timestamp(value: object) -> float:
    """Unix seconds of an ISO time; one without a zone, as v2 wrote, is local."""
    return float(
        _plausible(
            value if isinstance(value, int | float) else datetime.fromisoformat(str(value)).timestamp()
        )
    )


def _plausible(value: Any) -> Any:
    """The value, if its numbers are plausible as times, counts and processes; raises InvalidJson."""
    number = value.since if isinstance(value, Running) else value
    if isinstance(number, int | float) and not 0 <= number < LATEST:
        raise InvalidJson(f"expected a time in seconds or a count, not {shortened(number)}")
    if isinstance(value, Running) and not 0 < value.pid < 2**31:
        raise InvalidJson(f"expected a process, not pid {shortened(value.pid)}")
    return value
