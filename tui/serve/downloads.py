"""Files that a tab's monitor hands to the browser: the screenshot that `S` takes."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from textual_serve._binary_encode import DecodeError, load

from tui.serve import protocol as packets

CHUNK = 64 << 10  # bytes that are asked for at a time
PATIENCE = 5.0  # seconds for a chunk
AT_ONCE = 8  # files that wait to be fetched


@dataclass(slots=True)
class Delivery:
    """One file on its way; an empty chunk ends it."""

    key: str
    name: str
    chunks: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)


class Deliveries:
    """The files of one tab that the browser may fetch, each once."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._send = send
        self._waiting: dict[str, Delivery] = {}

    def announced(self, payload: bytes) -> str:
        """What the page must hear of the monitor's news; empty for what is no business of a page."""
        news = json.loads(payload)
        if news.get("type") != "deliver_file_start" or len(self._waiting) >= AT_ONCE:
            return ""
        key, name = str(news["key"]), str(news["path"]).rpartition("/")[2]
        self._waiting[key] = Delivery(key, re.sub(r"[^\w.-]", "_", name, flags=re.ASCII))
        return json.dumps(["deliver_file_start", key])

    def arrived(self, payload: bytes) -> None:
        """A piece of a file."""
        try:
            said = load(payload)
        except DecodeError:
            return
        match said:
            case [_, str(key), str() | bytes() as chunk] if delivery := self._waiting.get(key):
                delivery.chunks.put_nowait(chunk.encode() if isinstance(chunk, str) else chunk)

    def take(self, key: str) -> Delivery | None:
        return self._waiting.get(key)

    async def content(self, delivery: Delivery) -> AsyncIterator[bytes]:
        """The file, asked for piece by piece; a piece that does not come in time was the last."""
        try:
            while chunk := await self._next(delivery):
                yield chunk
        finally:
            self._waiting.pop(delivery.key, None)

    def end(self) -> None:
        """The tab is closing: nobody waits for the rest."""
        for delivery in self._waiting.values():
            delivery.chunks.put_nowait(b"")

    async def _next(self, delivery: Delivery) -> bytes:
        await self._send(packets.meta(type="deliver_chunk_request", key=delivery.key, size=CHUNK, name=None))
        try:
            async with asyncio.timeout(PATIENCE):
                return await delivery.chunks.get()
        except TimeoutError:
            return b""
