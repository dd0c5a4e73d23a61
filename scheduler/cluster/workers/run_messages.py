"""What the two ends of a run on a worker say to each other while it lasts: JSON, a line each.

The worker says that it began, how far it is, what it prints while it is followed, and how it ended;
the owner that it is followed, and that it is to end. Nothing depends on these lines: the rows hold all,
only later.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

from scheduler.cluster.bus import Stream

NAME = "run/"  # how a stream of a run is called, before its number; no citizen's name holds a slash


def name_of(run: int) -> str:
    return f"{NAME}{run}"


def run_of(name: str) -> int | None:
    """The run that a stream of this name is about; None if it is about a citizen."""
    number = name.removeprefix(NAME)
    return int(number) if number != name and number.isdecimal() else None


def say(stream: Stream, **message: Any) -> None:
    stream.write(json.dumps(message).encode() + b"\n")


async def said(stream: Stream) -> AsyncIterator[dict[str, Any]]:
    """The messages of the other end, until it is gone or says what is none."""
    while line := await stream.reader.readline():
        try:
            message = json.loads(line)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        yield message
