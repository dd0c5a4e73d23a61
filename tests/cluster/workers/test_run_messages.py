"""Messages between the two ends of a run that are not what they should be."""

import asyncio
from typing import cast

from scheduler.cluster.bus import Stream
from scheduler.cluster.workers.run_messages import said
from tests.each import each


class Sent:
    """The end of a stream that reads these lines."""

    def __init__(self, *lines: bytes) -> None:
        self.reader = asyncio.StreamReader(limit=1 << 20)
        self.reader.feed_data(b"".join(line + b"\n" for line in lines))
        self.reader.feed_eof()


@each("bad", [b"[" * 200_000, b"{", b"[]", b"\xff"])
async def test_an_invalid_message_ends_the_messages(bad: bytes) -> None:
    sent = cast(Stream, Sent(b'{"begin": 1}', bad, b'{"end": 1}'))
    assert [message async for message in said(sent)] == [{"begin": 1}]
