"""What a page may say to its monitor, and what a monitor says: read strictly, within limits."""

import asyncio
import json

import pytest

from tui.serve import protocol as packets
from tui.serve.downloads import Deliveries


@pytest.mark.parametrize(
    ("message", "packet"),
    [
        (["stdin", "f"], b"D\0\0\0\x01f"),
        (["stdin", "\ud800"], b"D\0\0\0\x01?"),
        (["resize", {"width": 120, "height": 40}], packets.meta(type="resize", width=120, height=40)),
        (["resize", {"width": 10**9, "height": -1}], packets.meta(type="resize", width=500, height=4)),
        (["resize", {"width": None, "height": "x"}], packets.meta(type="resize", width=80, height=24)),
        (["focus"], packets.meta(type="focus")),
        (["blur"], packets.meta(type="blur")),
        (["ping", "1"], b""),
    ],
)
def test_keys_size_and_focus_go_to_the_monitor(message, packet):
    assert packets.for_monitor(json.dumps(message)) == packet


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        '["quit"]',
        '["stdin"]',
        '["stdin", 1]',
        '["resize", 1]',
        '{"stdin": "f"}',
        "[" * 60000,
        "1",
    ],
)
def test_nothing_else_does(message):
    with pytest.raises(packets.ProtocolError):
        packets.for_monitor(message)


def test_a_size_is_within_reason():
    assert packets.size_of({"width": "9999999999999999999999", "height": "1e9"}) == (500, 24)
    assert packets.size_of({}) == (80, 24)
    assert packets.size_of({"width": "inf", "height": "2"}) == (80, 4)


async def read(data: bytes) -> list[tuple[bytes, bytes]]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return [found async for found in packets.packets(reader)]


async def test_packets_come_one_by_one_until_the_monitor_ends():
    greeting = b"a warning\n" + packets.GREETING
    assert await read(greeting + packets.packet(b"D", b"ab") + packets.meta(type="exit")) == [
        (b"D", b"ab"),
        (b"M", b'{"type": "exit"}'),
    ]
    assert await read(greeting + b"D\0\0\0\x09cut") == []


@pytest.mark.parametrize(
    "data", [b"", b"no monitor\n", b"\n" * 99, packets.GREETING + b"D\xff\xff\xff\xff"], ids=repr
)
async def test_what_is_no_monitor_is_said(data):
    with pytest.raises(packets.ProtocolError):
        await read(data)


async def test_a_file_for_the_browser_comes_in_pieces_and_once():
    from textual._binary_encode import dump

    asked: list[bytes] = []

    async def send(packet: bytes) -> None:
        asked.append(packet)
        piece = {1: "<svg", 2: b">"}.get(len(asked), b"")
        files.arrived(dump(("deliver_chunk", "key", piece)))

    files = Deliveries(send)
    start = {"type": "deliver_file_start", "key": "key", "path": '/home/opus/a "b"\r\n.svg'}
    assert json.loads(files.announced(json.dumps(start).encode())) == ["deliver_file_start", "key"]
    delivery = files.take("key")
    assert delivery is not None and delivery.name == "a__b___.svg"
    assert [chunk async for chunk in files.content(delivery)] == [b"<svg", b">"]
    assert files.take("key") is None and files.take("other") is None
    assert files.announced(b'{"type": "open_url", "url": "http://evil.example"}') == ""
    files.arrived(b"no packet")
