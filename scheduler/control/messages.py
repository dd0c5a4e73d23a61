"""What goes over a socket: one JSON-RPC 2.0 message a line, and the values of the model inside them."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from typing import Any

from scheduler import errors
from scheduler.core.details import DefinitionField, TaskDetails
from scheduler.core.records import RunRecord
from scheduler.core.state import Failure
from scheduler.core.task import Outcome, Progress, Trigger
from scheduler.core.views import Event, OutputChunk, Receipt, Snapshot, TaskStatus, TaskView, WakeView
from scheduler.core.window import MOST_TASKS, Slots, TimeGrid
from scheduler.errors import Disconnected, SchedulerError

PROTOCOL = 1
LINE_LIMIT = 16 * 1024  # bytes of a request; ours have a hundred, or name each task on a tall screen
ANSWER_LIMIT = 64 * 1024 * 1024  # bytes of a snapshot: ten thousand tasks have three million
EVENTS_KEPT = 200
SHORTEST, LATEST = 1.0, 1e11  # seconds: of a cell, and since 1970

BAD_JSON, BAD_REQUEST, UNKNOWN_METHOD, BAD_PARAMS, REFUSED = -32700, -32600, -32601, -32602, -32000


def line(message: Mapping[str, Any]) -> bytes:
    """The message as it is sent."""
    return json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode() + b"\n"


def heard(text: bytes) -> Any:
    """What the other end said; raises Disconnected for what is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Disconnected("the owner sent what is no message") from error


def refusal(request_id: object, error: SchedulerError) -> bytes:
    """The answer to a request that was understood and refused."""
    data = {"code": error.code}
    return line({"id": request_id, "error": {"code": REFUSED, "message": str(error), "data": data}})


def mistake(request_id: object, code: int, text: str) -> bytes:
    """The answer to what is no request."""
    return line({"id": request_id, "error": {"code": code, "message": text}})


def error_of(answer: Mapping[str, Any]) -> SchedulerError:
    """The error that a refusal stands for, of the class it had on the other side."""
    kind = answer.get("data", {}).get("code") if isinstance(answer.get("data"), dict) else None
    text = str(answer.get("message", "refused"))
    return _remade(_BY_CODE.get(str(kind), SchedulerError), text)


def _remade(kind: type[SchedulerError], text: str) -> SchedulerError:
    error = kind.__new__(kind)  # some classes build their text from other arguments
    Exception.__init__(error, text)
    return error


_BY_CODE = {
    each.code: each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, SchedulerError)
}


# ------------------------------------------------------------------ values


def plain(value: Any) -> dict[str, Any]:
    """A value of the model for JSON, without the fields that say nothing new."""
    return {
        item.name: _element(given)
        for item in fields(value)
        if (given := getattr(value, item.name)) != item.default or item.default is MISSING
    }


def _element(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_element(each) for each in value]
    return plain(value) if hasattr(value, "__dataclass_fields__") else value


def snapshot_message(snapshot: Snapshot, told: int) -> bytes:
    """A snapshot as a notification; of the events only those after `told`.

    Who was told of more than there was knows another owner, whose pid was the same: in a container it is.
    """
    if snapshot.events and told > snapshot.events[-1].seq:
        told = 0
    fresh = tuple(event for event in snapshot.events if event.seq > told)
    return line({"method": "snapshot", "params": plain(replace(snapshot, events=fresh))})


def snapshot_from(raw: Any, before: tuple[Event, ...]) -> Snapshot:
    """The snapshot in a notification, its events added to those `before`; raises Disconnected."""
    try:
        fresh = tuple(map(_event, raw.get("events", ())))
        if fresh and before and fresh[0].seq <= before[-1].seq:  # another owner's
            before = ()
        events = (*before, *fresh)[-EVENTS_KEPT:]
        return Snapshot(
            **{
                **raw,
                "tasks": tuple(map(_task, raw.get("tasks", ()))),
                "wake": WakeView(**raw.get("wake", {})),
                "events": events,
                "problems": tuple(raw.get("problems", ())),
            }
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Disconnected(f"the owner sent what is no snapshot: {error}") from error


def piece_message(request_id: object, piece: OutputChunk) -> bytes:
    """What a run printed, for whoever asked by the request of this id to follow it."""
    return line({"method": "printed", "params": {"id": request_id, **plain(piece)}})


def piece_from(raw: Mapping[str, Any]) -> OutputChunk:
    """The piece in a notification; raises Disconnected."""
    text, skipped = raw.get("text"), raw.get("skipped", 0)
    if not isinstance(text, str) or not isinstance(skipped, int):
        raise Disconnected("the owner sent what is no output")
    return OutputChunk(text, skipped)


def receipt_from(raw: Any) -> Receipt:
    """The receipt in an answer; raises Disconnected."""
    try:
        return Receipt(**raw)
    except TypeError as error:
        raise Disconnected(f"the owner sent what is no answer: {error}") from error


def answer(value: Receipt | tuple[RunRecord, ...] | str | TaskDetails | Slots) -> Mapping[str, Any]:
    """What a method gave, as a result."""
    match value:
        case str():
            return {"text": value}
        case tuple():
            return {"runs": [plain(each) for each in value]}
        case dict():
            return {"slots": value}
    return plain(value)


def runs_from(raw: Any) -> tuple[RunRecord, ...]:
    """The runs in an answer; raises Disconnected."""
    try:
        return tuple(map(_run, raw["runs"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Disconnected(f"the owner sent what is no history: {error}") from error


def text_from(raw: Any) -> str:
    """The text in an answer; raises Disconnected."""
    if not isinstance(raw, dict) or not isinstance(text := raw.get("text"), str):
        raise Disconnected("the owner sent what is no output")
    return text


def details_from(raw: Any) -> TaskDetails:
    """The details in an answer; raises Disconnected."""
    try:
        facts, options = (
            tuple(DefinitionField(**each) for each in raw.get(key, ())) for key in ("facts", "options")
        )
        return TaskDetails(raw["task"], facts, options, tuple(map(float, raw.get("upcoming", ()))))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Disconnected(f"the owner sent what are no details: {error}") from error


def slots_from(raw: Any) -> Slots:
    """The slots in an answer; raises Disconnected."""
    try:
        return {str(task): tuple(map(float, times)) for task, times in raw["slots"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Disconnected(f"the owner sent what are no times: {error}") from error


def window_from(params: Mapping[str, Any]) -> tuple[list[str], TimeGrid] | None:
    """The tasks and the window that a request asks about, if it makes sense."""
    if params.keys() != {"tasks", "start", "cell", "cells"}:
        return None
    tasks, start, cell, cells = (params[name] for name in ("tasks", "start", "cell", "cells"))
    numbers = all(isinstance(each, int | float) and 0 <= each < LATEST for each in (start, cell, cells))
    named = isinstance(tasks, list) and all(isinstance(each, str) for each in tasks)
    if not named or not numbers or not isinstance(cells, int) or cell < SHORTEST:
        return None
    return tasks[:MOST_TASKS], TimeGrid(float(start), float(cell), cells)


def _run(raw: Mapping[str, Any]) -> RunRecord:
    trigger = raw.get("trigger")
    told = {"outcome": Outcome(raw["outcome"]), "trigger": Trigger(trigger) if trigger else None}
    return RunRecord(**{**raw, **told})


def _task(raw: Mapping[str, Any]) -> TaskView:
    error, progress, outcome = raw.get("error"), raw.get("progress"), raw.get("outcome")
    return TaskView(
        **{
            **raw,
            "kind": TaskStatus(raw["kind"]),
            "error": Failure(**error) if error else None,
            "progress": Progress(**progress) if progress else None,
            "outcome": Outcome(outcome) if outcome else None,
        }
    )


def _event(raw: Mapping[str, Any]) -> Event:
    outcome, trigger = raw.get("outcome"), raw.get("trigger")
    return Event(
        **{
            **raw,
            "outcome": Outcome(outcome) if outcome else None,
            "trigger": Trigger(trigger) if trigger else None,
        }
    )
