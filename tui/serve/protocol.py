"""What goes between a browser, the server and a tab's process: Textual's packets and the page's messages."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

DATA, META, PACKED = b"D", b"M", b"P"
GREETING = b"__GANGLION__\n"  # the first line of a Textual app that a server drives
CHATTER = 10  # lines that may come before it
LARGEST = 16 << 20  # bytes of a packet; a whole screen has some ten thousand
COLUMNS, ROWS = (20, 500), (4, 200)  # the smallest and largest screens there are


class ProtocolError(ValueError):
    """What is no message of our page, or no packet of our monitor."""


def packet(kind: bytes, payload: bytes) -> bytes:
    return b"%s%s%s" % (kind, len(payload).to_bytes(4, "big"), payload)


def meta(**said: Any) -> bytes:
    return packet(META, json.dumps(said).encode())


async def packets(reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, bytes]]:
    """Kind and payload of each packet until the process ends; raises Nonsense."""
    await _greeted(reader)
    try:
        while True:
            head = await reader.readexactly(5)
            if (size := int.from_bytes(head[1:], "big")) > LARGEST:
                raise ProtocolError(f"a packet of {size:,} bytes")
            yield head[:1], await reader.readexactly(size)
    except asyncio.IncompleteReadError:
        return


async def _greeted(reader: asyncio.StreamReader) -> None:
    for _ in range(CHATTER):
        if (line := await reader.readline()) == GREETING:
            return
        if not line:
            break
    raise ProtocolError("the monitor did not start")


def size_of(query: Mapping[str, str]) -> tuple[int, int]:
    """Columns and rows as a page asks for them, within reason."""
    return _within(query.get("width", ""), COLUMNS, 80), _within(query.get("height", ""), ROWS, 24)


def for_monitor(message: str) -> bytes:
    """A page's message as a packet, empty where it is none of the monitor's business; raises Nonsense."""
    match _list(message):
        case ["stdin", str(keys)]:
            return packet(DATA, keys.encode("utf-8", "replace"))
        case ["resize", {"width": width, "height": height}]:
            columns, rows = _within(width, COLUMNS, 80), _within(height, ROWS, 24)
            return meta(type="resize", width=columns, height=rows)
        case ["focus" | "blur" as what]:
            return meta(type=what)
        case ["ping", str()]:  # the page's author wanted to know how fast we are; nobody reads it
            return b""
    raise ProtocolError("no message of this page")


def _list(message: str) -> list[Any]:
    try:
        said = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("no JSON") from error
    return said if isinstance(said, list) else []


def _within(given: Any, limits: tuple[int, int], default: int) -> int:
    try:
        number = int(given)
    except (TypeError, ValueError, OverflowError):
        return default
    return min(max(number, limits[0]), limits[1])
