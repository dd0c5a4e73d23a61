"""The messages between the two ends of a run on a worker, one line of JSON each.

The worker sends its start, progress, output (while followed) and end; the owner sends that it is followed
or must end. Nothing depends on these messages: the rows say the same, only later.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

from scheduler.cluster.bus import Stream

NAME = "run/"  # the name of a run's stream, before its number; no citizen's name contains a slash


def name_of(run: int) -> str:
    return f"{NAME}{run}"


def run_of(name: str) -> int | None:
    """The run of the stream with this name; None if the stream is about a citizen."""
    number = name.removeprefix(NAME)
    return int(number) if number != name and number.isdecimal() else None


def say(stream: Stream, **message: Any) -> None:
    stream.write(json.dumps(message).encode() + b"\n")


async def said(stream: Stream) -> AsyncIterator[dict[str, Any]]:
    """Yield the messages of the other end until it is gone or sends an invalid one."""
    while line := await stream.reader.readline():
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(message, dict):
            return
        yield message
