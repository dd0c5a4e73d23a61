"""The protocol of a citizen's socket: one JSON-RPC 2.0 message per line, and its methods."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from scheduler import errors
from scheduler.core.schedules.forecast import MOST_TASKS, TimeGrid
from scheduler.core.views import Event, Snapshot
from scheduler.errors import Disconnected, SchedulerError
from scheduler.schema.json_codec import InvalidJson, from_json, to_json

T = TypeVar("T")

PROTOCOL = 3  # version 2 knows neither stopped runs nor waiting rows
LINE_LIMIT = 16 * 1024  # bytes of a request; most have a hundred, but one may name each task on a tall screen
ANSWER_LIMIT = 64 * 1024 * 1024  # bytes of a snapshot: ten thousand tasks have three million
EVENTS_KEPT = 200
SHORTEST_CELL, LATEST = 1.0, 1e11  # seconds, and seconds since 1970

BAD_REQUEST, BAD_PARAMS, REFUSED = -32600, -32602, -32000


class ProtocolError(Disconnected):
    """An invalid message; a client that receives one disconnects."""


def encode(**message: Any) -> bytes:
    """The message as a line."""
    return json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The message of a line; raises ProtocolError."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a message is not JSON") from error
    if not isinstance(message, dict):
        raise ProtocolError("a message is not an object")
    return message


def typed(kind: type[T], raw: Any) -> T:
    """The value of this type in a message; raises ProtocolError."""
    try:
        return from_json(kind, raw)
    except InvalidJson as error:
        raise ProtocolError(f"invalid {getattr(kind, '__name__', kind)}: {error}") from error


# ------------------------------------------------------------------ requests


@dataclass(frozen=True, slots=True)
class Method:
    """A request: the types of its parameters, and how the owner serves it."""

    required: Mapping[str, Any] = field(default_factory=dict)
    optional: Mapping[str, Any] = field(default_factory=dict)
    exclusive: bool = False  # one at a time, since it reads the disk or computes for a millisecond
    verb: bool = False  # it changes something; without an answer it is unknown whether it did

    def arguments(self, params: Any) -> dict[str, Any]:
        """The parameters as values; raises ProtocolError."""
        known = {**self.required, **self.optional}
        if not isinstance(params, dict) or not self.required.keys() <= params.keys() <= known.keys():
            raise ProtocolError(f"parameters: {', '.join(known) or 'none'}")
        return {name: _bounded(typed(known[name], value)) for name, value in params.items()}


_TASK: Mapping[str, Any] = {"task": str}
METHODS = {
    "ping": Method(),
    "stop": Method(),
    "hand_over": Method(),
    "watch": Method(optional={"after": int}),
    "follow": Method(_TASK),
    "cancel": Method({"id": int}),
    "force": Method(_TASK, {"again": bool}, verb=True),
    "wait": Method({"task": str, "run": int}),
    "reset": Method(_TASK, verb=True),
    "pause": Method(_TASK, {"until": float, "why": str}, verb=True),
    "resume": Method(_TASK, verb=True),
    "stop_run": Method(_TASK, verb=True),
    "freeze": Method(optional={"until": float, "why": str}, verb=True),
    "thaw": Method(verb=True),
    "look_at_freeze": Method(),
    "add_to_budget": Method({"amount": str}, {"together": bool}, verb=True),
    "try_provider": Method({"provider": str}, verb=True),
    "wake": Method(verb=True),
    "history": Method(
        optional={"task": str | None, "limit": int, "failed": bool, "before": int | None}, exclusive=True
    ),
    "output": Method({"run": int}, exclusive=True),
    "explain": Method(_TASK, exclusive=True),
    "slots": Method({"tasks": tuple[str, ...], "window": TimeGrid}, exclusive=True),
}


def _bounded(value: Any) -> Any:
    """The parameter; raises ProtocolError for a number that a database or a calendar cannot hold."""
    if isinstance(value, int) and not 0 <= value < 1 << 63:
        raise ProtocolError("a number is out of range")
    if isinstance(value, float) and not 0 <= value < LATEST:
        raise ProtocolError("a time is out of range")
    if isinstance(value, TimeGrid):
        small = all(0 <= number < LATEST for number in (value.start, value.cell, value.cells))
        if not small or value.cell < SHORTEST_CELL:
            raise ProtocolError("the window is out of range")
    return value[:MOST_TASKS] if isinstance(value, tuple) else value


class Request(NamedTuple):
    """A client's request."""

    id: int
    method: str
    params: Any


def request_from(line: bytes) -> Request:
    """The request in a line; raises ProtocolError."""
    message = decode(line)
    number, method = message.get("id"), message.get("method")
    if message.get("jsonrpc") != "2.0" or type(number) is not int or not isinstance(method, str):
        raise ProtocolError("not a JSON-RPC 2.0 request with a number as its id")
    return Request(number, method, message.get("params", {}))


# ------------------------------------------------------------------ answers


@dataclass(frozen=True, slots=True)
class Greeting:
    """The first message of an owner."""

    protocol: int
    citizen: str = ""
    pid: int = 0
    home: str = ""  # the owner's `home_id`; older owners send none
    zone: str = ""  # the time zone of its cron expressions


@dataclass(frozen=True, slots=True)
class Item:
    """One of several values for a request; the answer follows the last one."""

    id: int
    value: Any


def result(number: int, value: Any = None) -> bytes:
    """The answer to a request."""
    return encode(id=number, result=to_json(value))


def item(number: int, value: str) -> bytes:
    """One of several values for a request, already as JSON: a snapshot is encoded once for all clients."""
    return f'{{"jsonrpc":"2.0","method":"item","params":{{"id":{number},"value":{value}}}}}\n'.encode()


def encoded(value: Any) -> str:
    """The JSON of an item's value."""
    return json.dumps(to_json(value), separators=(",", ":"))


def failure(number: int | None, code: int, text: str) -> bytes:
    """The answer to a request that the protocol does not allow."""
    return encode(id=number, error={"code": code, "message": text})


def refusal(number: int, error: SchedulerError) -> bytes:
    """The answer to a request that the citizen refused."""
    return encode(id=number, error={"code": REFUSED, "message": str(error), "data": {"code": error.code}})


_ERRORS = {
    each.code: each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, SchedulerError)
}


def error_from(raw: Mapping[str, Any]) -> SchedulerError:
    """The error in an answer, as an instance of the class that the owner raised."""
    data = raw.get("data")
    kind = _ERRORS.get(str(data.get("code")), SchedulerError) if isinstance(data, dict) else SchedulerError
    error = kind.__new__(kind)  # some classes build their text from other arguments
    Exception.__init__(error, str(raw.get("message", "refused")))
    return error


# ------------------------------------------------------------------ snapshots


def without_events(snapshot: Snapshot, after: int) -> Snapshot:
    """The snapshot without the events up to `after`, which the client already has.

    If `after` is beyond the last event, it came from another owner (in a container, with the same pid).
    """
    last = snapshot.events[-1].seq if snapshot.events else 0
    return replace(
        snapshot, events=tuple(event for event in snapshot.events if event.seq > after or after > last)
    )


def with_events(snapshot: Snapshot, before: tuple[Event, ...]) -> Snapshot:
    """The snapshot with the events `before` in front of its own, unless they came from another owner."""
    fresh = snapshot.events
    if fresh and before and fresh[0].seq <= before[-1].seq:
        before = ()
    return replace(snapshot, events=(*before, *fresh)[-EVENTS_KEPT:])
