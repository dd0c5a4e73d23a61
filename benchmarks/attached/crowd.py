"""Two hundred clients of one socket in one process: `python -m benchmarks.attached.crowd SOCKET COUNT`.

Prints "ready" when all are in, and what they saw as one line of JSON when its standard input ends.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from benchmarks.numbers import Sample, percentile

STUCK, JUNK = 10, 10  # of all clients: never read; send what is no request
ASK_EVERY = 0.1  # seconds between two questions of the one that asks
WATCH = b'{"jsonrpc":"2.0","id":1,"method":"watch","params":{}}\n'
PING = b'{"jsonrpc":"2.0","id":2,"method":"ping","params":{}}\n'
RUBBISH = (
    b"GET / HTTP/1.1\r\n\r\n" * 20,
    b"\xff\x00\xfe\n" * 100,
    b"{}\n" * 100,
    b"[" * 5000 + b"\n",
    b'{"jsonrpc":"2.0","id":1,"method":"force","params":{"task":["x"]}}\n' * 50,
    PING * 2000,
    b"x" * 200_000,
    b'{"jsonrpc":"2.0","id":1,"met',
    b"",
)


class Crowd:
    """Clients of all kinds until they are stopped; only well-behaved ones count what they see."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.delays: list[float] = []
        self.answers: list[float] = []
        self.snapshots = self.lost = self.junk = 0

    async def run(self, count: int, stop: Coroutine[Any, Any, object]) -> Sample:
        watchers = [self._watch(parse=number < 5) for number in range(count - STUCK - JUNK - 1)]
        kinds = [
            *watchers,
            self._ask(),
            *(self._stuck() for _ in range(STUCK)),
            *(self._spoil() for _ in range(JUNK)),
        ]
        tasks = [asyncio.create_task(kind) for kind in kinds]
        await asyncio.sleep(1)
        print("ready", flush=True)
        self.delays.clear()
        await stop
        ended = [task for task in tasks if task.done()]
        sample = {
            "p50": percentile(self.delays, 50),
            "p99": percentile(self.delays, 99),
            "answer": percentile(self.answers, 99),
            "snapshots": self.snapshots,
            "junk": self.junk,
            "lost": len(ended),
        }
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return sample

    async def _watch(self, parse: bool) -> None:
        """One that reads all it gets; some look how old the news in it is."""
        reader, writer = await self._connect()
        writer.write(WATCH)
        seen = 0
        while line := await reader.readline():
            self.snapshots += 1
            if parse and (events := json.loads(line).get("params", {}).get("events")):
                if seen:
                    self.delays.append((time.time() - events[0]["time"]) * 1e3)
                seen = events[-1]["seq"]

    async def _ask(self) -> None:
        reader, writer = await self._connect()
        while True:
            start = time.perf_counter()
            writer.write(PING)
            if not await reader.readline():
                return
            self.answers.append((time.perf_counter() - start) * 1e3)
            await asyncio.sleep(ASK_EVERY)

    async def _stuck(self) -> None:
        """One that watches and never takes a byte; let go after a while, it comes again."""
        while True:
            with suppress(OSError):
                _, writer = await self._connect()
                writer.transport.pause_reading()
                writer.write(WATCH)
                while not writer.transport.is_closing():
                    writer.write(PING)
                    await asyncio.sleep(1)

    async def _spoil(self) -> None:
        """One that sends rubbish as fast as it can, and comes again when it is hung up on."""
        while True:
            with suppress(OSError):
                reader, writer = await self._connect()
                rubbish = random.choice(RUBBISH)
                writer.write(rubbish)
                self.junk += len(rubbish)
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        while rubbish and await reader.read(1 << 16):
                            writer.write(rubbish)
                            await writer.drain()
                            self.junk += len(rubbish)
                writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(self._path, limit=1 << 24)
        await reader.readline()  # the greeting
        return reader, writer


async def _main(path: str, count: int) -> None:
    print(json.dumps(await Crowd(path).run(count, asyncio.to_thread(sys.stdin.read))), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
