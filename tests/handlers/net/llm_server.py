"""A small server that plays its acts: whole answers, streams, and every fault of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """What it was asked, and where it is."""

    def __init__(self, acts: tuple[Act, ...]) -> None:
        self.acts, self.url = acts, ""
        self.asked: list[tuple[str, dict[str, str], Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        act = self.acts[min(len(self.asked), len(self.acts) - 1)]
        self.asked.append((head[0], headers, json.loads(body)))
        try:
            await act(reader, writer)
        except ConnectionError:
            pass  # the client hung up
        finally:
            writer.close()


@asynccontextmanager
async def serving(*acts: Act, tls: Any = None) -> AsyncIterator[Server]:
    """A server on a free port; the first connection gets the first act, the last act all that follow."""
    server = Server(acts)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()


def _head(status: str, fields: dict[str, Any]) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *(f"{k}: {v}" for k, v in fields.items()), "", ""]).encode()


def whole(body: str | bytes, status: str = "200 OK", kind: str = "application/json", **more: Any) -> Act:
    """The whole body at once; `more` are further header fields, `_` for `-`."""
    content = body.encode() if isinstance(body, str) else body
    fields = {"Content-Type": kind, "Content-Length": len(content), "Connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in more.items()}

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(status, fields) + content)
        await writer.drain()

    return act


def streamed(*pieces: str | bytes, kind: str = "application/x-ndjson", end: str = "well") -> Act:
    """The pieces as chunks, and then the end: "well", "cut" (the line goes dead) or "silent" (for ever)."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_head("200 OK", {"Content-Type": kind, "Transfer-Encoding": "chunked"}))
        for piece in pieces:
            content = piece.encode() if isinstance(piece, str) else piece
            writer.write(b"%x\r\n%s\r\n" % (len(content), content))
            await writer.drain()
        if end == "well":
            writer.write(b"0\r\n\r\n")
        elif end == "silent":
            await reader.read()  # until the client gives up
        await writer.drain()

    return act


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the question and never answer."""
    await reader.read()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the question and close the line."""


def without_end(piece: bytes) -> Act:
    """The same piece again and again, until the client hangs up."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_head("200 OK", {"Content-Type": "application/x-ndjson", "Connection": "close"}))
        while True:
            writer.write(piece * 100)
            await writer.drain()

    return act
