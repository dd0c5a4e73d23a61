"""Model to JSON and back, for the state file and whatever else carries states."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from scheduler.core.state import Failure, TaskState
from scheduler.core.task import Outcome
from scheduler.system.process_info import Running

MAPS = ("last_run", "run_counts", "errors", "tasks")
_NUMBERS = ("last_duration", "last_success", "first_seen", "paused_at", "retry_at")
_FLAGS = ("paused", "due_now")
_COUNTS = ("failures_in_a_row", "attempt")
_OURS = frozenset((*_NUMBERS, *_FLAGS, *_COUNTS, "running", "orphan", "outcome", "text"))


@dataclass(frozen=True)
class Document:
    """A state file's content: the states, and what others wrote into it, which survives every save."""

    states: Mapping[str, TaskState] = field(default_factory=dict)
    foreign: Mapping[str, Any] = field(default_factory=dict)
    foreign_of_task: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    foreign_of_error: Mapping[str, tuple[Failure, Mapping[str, Any]]] = field(default_factory=dict)


def decode(text: str) -> tuple[Document, list[str]]:
    """The document in `text` and a line for each part of it that had to be dropped.

    Raises ValueError when it is no JSON object at all.
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"a JSON object was expected, not {type(content).__name__}")
    reader = _Reader(content)
    states = {name: reader.state(name) for name in reader.names()}
    foreign = {key: value for key, value in content.items() if key not in MAPS}
    return Document(states, foreign, reader.foreign, reader.foreign_of_error), reader.dropped


class _Reader:
    """Takes what is valid out of a decoded document and notes what is not."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.dropped: list[str] = []
        self.foreign: dict[str, Mapping[str, Any]] = {}
        self.foreign_of_error: dict[str, tuple[Failure, Mapping[str, Any]]] = {}
        self._maps = {key: self._map(content, key) for key in MAPS}

    def names(self) -> list[str]:
        return sorted({name for entries in self._maps.values() for name in entries})

    def state(self, name: str) -> TaskState:
        entry = self._entry(name)
        fields: dict[str, Any] = {key: self._number(entry, key, name) for key in _NUMBERS}
        fields |= {key: self._flag(entry, key, name) for key in _FLAGS}
        fields |= {key: self._count(entry, key, name) for key in _COUNTS}
        return TaskState(
            last_run=self._number(self._maps["last_run"], name, "last_run"),
            run_count=self._count(self._maps["run_counts"], name, "run_counts"),
            error=self._failure(name),
            running=self._running(entry, "running", name),
            orphan=self._running(entry, "orphan", name),
            outcome=self._outcome(entry, name),
            text=self._text(entry, name),
            **fields,
        )

    def _map(self, content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = content.get(key, {})
        if isinstance(value, dict):
            return value
        self.dropped.append(f"{key}: an object was expected, not {_short(value)}")
        return {}

    def _entry(self, name: str) -> Mapping[str, Any]:
        entry = self._maps["tasks"].get(name, {})
        if not isinstance(entry, dict):
            self.dropped.append(f"tasks.{name}: an object was expected, not {_short(entry)}")
            return {}
        if rest := {key: value for key, value in entry.items() if key not in _OURS}:
            self.foreign[name] = rest
        return entry

    def _number(self, entry: Mapping[str, Any], key: str, where: str) -> float | None:
        value = entry.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not _sane(value):
            self.dropped.append(f"{where}.{key}: a time in seconds was expected, not {_short(value)}")
            return None
        return float(value)

    def _count(self, entry: Mapping[str, Any], key: str, where: str) -> int:
        value = entry.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.dropped.append(f"{where}.{key}: a count was expected, not {_short(value)}")
            return 0
        return value

    def _flag(self, entry: Mapping[str, Any], key: str, where: str) -> bool:
        value = entry.get(key, False)
        if not isinstance(value, bool):
            self.dropped.append(f"{where}.{key}: true or false was expected, not {_short(value)}")
            return False
        return value

    def _text(self, entry: Mapping[str, Any], where: str) -> str:
        value = entry.get("text", "")
        if not isinstance(value, str):
            self.dropped.append(f"{where}.text: text was expected, not {_short(value)}")
            return ""
        return value

    def _outcome(self, entry: Mapping[str, Any], where: str) -> Outcome | None:
        value = entry.get("outcome")
        try:
            return None if value is None else Outcome(value)
        except ValueError:
            self.dropped.append(f"{where}.outcome: unknown outcome {_short(value)}")
            return None

    def _running(self, entry: Mapping[str, Any], key: str, where: str) -> Running | None:
        value = entry.get(key)
        try:
            return running_from_json(value) if value is not None else None
        except (KeyError, TypeError, ValueError):
            self.dropped.append(f"{where}.{key}: pid, born and since were expected, not {_short(value)}")
            return None

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
            self.dropped.append(f"errors.{name}: time and error were expected, not {_short(value)}")
            return None


def encode(document: Document) -> str:
    """The text of a state file: one line per task and map, so that people can read it too."""
    states = document.states
    maps: dict[str, dict[str, Any]] = {
        "last_run": {n: s.last_run for n, s in states.items() if s.last_run is not None},
        "run_counts": {n: s.run_count for n, s in states.items() if s.run_count},
        "errors": {n: _failure_json(s.error) | _beside(document, n, s) for n, s in states.items() if s.error},
        "tasks": {n: _entry_json(s) | dict(document.foreign_of_task.get(n, {})) for n, s in states.items()},
    }
    blocks = [f"  {json.dumps(key)}: {_block(value)}" for key, value in maps.items()]
    blocks += [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in document.foreign.items()]
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def _beside(document: Document, name: str, state: TaskState) -> dict[str, Any]:
    """What others wrote beside this very error; with the next one it is gone."""
    failure, rest = document.foreign_of_error.get(name, (None, {}))
    return dict(rest) if failure == state.error else {}


def _block(entries: Mapping[str, Any]) -> str:
    if not entries:
        return "{}"
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(value)}" for name, value in entries.items())
    return "{\n" + lines + "\n  }"


def _entry_json(state: TaskState) -> dict[str, Any]:
    always = {
        "failures_in_a_row": state.failures_in_a_row,
        "last_duration": state.last_duration,
        "last_success": state.last_success,
        "first_seen": state.first_seen,
        "paused": state.paused,
        "due_now": state.due_now,
        "retry_at": state.retry_at,
        "running": running_to_json(state.running) if state.running else None,
    }
    sometimes = {
        "paused_at": state.paused_at,
        "attempt": state.attempt,
        "orphan": running_to_json(state.orphan) if state.orphan else None,
        "outcome": state.outcome,
        "text": state.text,
    }
    return always | {key: value for key, value in sometimes.items() if value}


def running_to_json(running: Running) -> dict[str, float]:
    return {"pid": running.pid, "born": running.born, "since": running.since}


def running_from_json(value: Any) -> Running:
    """The process in `value`; raises KeyError, TypeError or ValueError when it is none."""
    try:
        pid, born, since = int(value["pid"]), float(value["born"]), float(value["since"])
    except OverflowError as error:
        raise ValueError("no process") from error
    if not (0 < pid < 2**31 and math.isfinite(born) and _sane(since)):
        raise ValueError("no process")
    return Running(pid, born, since)


def _failure_json(failure: Failure) -> dict[str, str]:
    return {"time": datetime.fromtimestamp(failure.time, UTC).isoformat(), "error": failure.text}


def _timestamp(value: object) -> float:
    """Unix seconds of an ISO time; v2 wrote local ones without a zone, too."""
    seconds = value if isinstance(value, int | float) else datetime.fromisoformat(str(value)).timestamp()
    if not _sane(seconds):
        raise ValueError("no time")
    return float(seconds)


def _sane(value: float) -> bool:
    return 0 <= value < 1e11  # the year 5138: beyond, somebody wrote milliseconds; false for NaN, too


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
