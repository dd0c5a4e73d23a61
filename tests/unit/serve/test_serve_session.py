"""What a page may send to its monitor, and a monitor to its page: read strictly, within limits."""

import asyncio
import json
from typing import Any

import pytest
from textual._binary_encode import dump
from textual_serve.download_manager import DownloadManager

from tests.each import each
from tui.serve.session import GREETING, BrowserSession, EndReason, ProtocolError, size_of

DOWNLOADS = DownloadManager()


class Pipe:
    """Standard input of a monitor: keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None: ...

    def close(self) -> None: ...


class Monitor:
    """A process that has painted `output` and ended with `code`."""

    pid, returncode = 4711, 0

    def __init__(self, output: bytes = b"", code: int = 0) -> None:
        self.stdin, self.stdout, self.stderr = Pipe(), asyncio.StreamReader(), asyncio.StreamReader()
        self.stdout.feed_data(output)
        self.stdout.feed_eof()
        self.stderr.feed_eof()
        self._code = code

    async def wait(self) -> int:
        return self._code


class Socket:
    """A browser's end: keeps what it gets, and sends nothing."""

    def __init__(self) -> None:
        self.painted, self.said = b"", []  # type: bytes, list[Any]

    async def send_bytes(self, data: bytes) -> None:
        self.painted += data

    async def send_str(self, text: str) -> None:
        self.said.append(json.loads(text))

    async def receive(self, timeout: float) -> None:
        await asyncio.sleep(timeout)


def session(output: bytes = b"", code: int = 0) -> tuple[BrowserSession, Monitor, Socket]:
    monitor, socket = Monitor(output, code), Socket()
    return BrowserSession(monitor, socket, DOWNLOADS), monitor, socket


def packet(kind: bytes, payload: bytes) -> bytes:
    return kind + len(payload).to_bytes(4, "big") + payload


def meta(**said: Any) -> bytes:
    return packet(b"M", json.dumps(said).encode())


@each(
    ("message", "sent"),
    [
        (["stdin", "f"], b"D\0\0\0\x01f"),
        (["stdin", "\ud800"], b"D\0\0\0\x01?"),
        (["resize", {"width": 120, "height": 40}], meta(type="resize", width=120, height=40)),
        (["resize", {"width": 10**9, "height": -1}], meta(type="resize", width=500, height=4)),
        (["resize", {"width": None, "height": "x"}], meta(type="resize", width=80, height=24)),
        (["focus"], meta(type="focus")),
        (["blur"], meta(type="blur")),
        (["ping", "1"], b""),
    ],
)
async def test_keys_size_and_focus_go_to_the_monitor(message, sent):
    tab, monitor, _ = session()
    await tab.handle_message(json.dumps(message))
    assert monitor.stdin.written == sent


async def test_nothing_else_does():
    tab, monitor, _ = session()
    lists = ("[]", '["quit"]', '["stdin"]', '["stdin", 1]', '["resize", 1]', '{"stdin": "f"}')
    for message in ("", "{", "1", "[" * 60000, *lists):
        with pytest.raises(ProtocolError):
            await tab.handle_message(message)
        assert monitor.stdin.written == b"", message[:20]


def test_a_size_is_within_limits():
    assert size_of({"width": "9999999999999999999999", "height": "1e9"}) == (500, 24)
    assert size_of({}) == (80, 24)
    assert size_of({"width": "inf", "height": "2"}) == (80, 4)


@each(("code", "over"), [(0, EndReason.QUIT), (1, EndReason.BROKEN)])
async def test_what_a_monitor_paints_goes_to_its_page_until_it_ends(code, over):
    painted = packet(b"D", b"ab") + meta(type="exit") + packet(b"D", b"c") + b"D\0\0\0\x09cut"
    tab, monitor, socket = session(b"a warning\n" + GREETING + painted, code)
    assert await tab.connect((120, 40), 60) is over
    assert (socket.painted, socket.said) == (b"abc", [])
    assert monitor.stdin.written == b"120 40\n"


@each(
    "output",
    [
        b"",
        b"no monitor\n",
        b"\n" * 99,
        GREETING + b"D\xff\xff\xff\xff",
        GREETING + packet(b"X", b"unknown"),
        GREETING + packet(b"P", b"no code"),
    ],
)
async def test_a_process_that_is_not_a_monitor_breaks_its_screen(output):
    tab, _, socket = session(output)
    assert await tab.connect((80, 24), 60) is EndReason.BROKEN
    assert socket.painted == b""


async def test_a_file_for_the_browser_is_announced_and_a_link_is_not():
    start = {"type": "deliver_file_start", "key": "key", "path": "/home/opus/a.svg"}
    start |= {"open_method": "download", "mime_type": "", "encoding": ""}
    tab, _, socket = session()
    await tab.on_meta(json.dumps(start).encode())
    await tab.on_meta(b'{"type": "open_url", "url": "http://evil.example", "new_tab": true}')
    assert socket.said == [["deliver_file_start", "key"]]
    for piece in ("<svg", b">", b""):
        await tab.on_packed(dump(("deliver_chunk", "key", piece)))
    assert [chunk async for chunk in DOWNLOADS.download("key")] == [b"<svg", b">"]
