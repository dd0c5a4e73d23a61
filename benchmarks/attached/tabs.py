"""Browsers without a window, in a process of their own: `python -m benchmarks.attached.tabs COUNT WORD`.

Reads the link from its input, prints "ready" when the word is on every screen, and what came over the wire as
one line of JSON when its input ends.
"""

import asyncio
import json
import sys
from urllib.parse import urlsplit

import aiohttp


class Tab:
    """One screen of 120 x 40; everything is read at once, nothing is painted."""

    def __init__(self) -> None:
        self.bytes, self.shown = 0, asyncio.Event()

    async def follow(self, socket: aiohttp.ClientWebSocketResponse, word: bytes) -> None:
        tail = b""
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.bytes += len(message.data)
                tail = (
                    (tail + message.data)[-4096 - len(word) :] if len(message.data) < 4096 else message.data
                )
                if word in tail:
                    self.shown.set()


async def _main(count: int, word: bytes) -> None:
    link = (await asyncio.to_thread(sys.stdin.readline)).strip()
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(link))
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(link):
            pass  # for its cookie
        tabs, following = [Tab() for _ in range(count)], set()
        for tab in tabs:
            address = f"{origin}/ws?width=120&height=40"
            socket = await session.ws_connect(address, headers={"Origin": origin})
            following.add(asyncio.create_task(tab.follow(socket, word)))
        async with asyncio.timeout(60):
            await asyncio.gather(*(tab.shown.wait() for tab in tabs))
        print("ready", flush=True)
        before = sum(tab.bytes for tab in tabs)
        await asyncio.to_thread(sys.stdin.read)
        lost = sum(task.done() for task in following)
        print(json.dumps({"bytes": sum(tab.bytes for tab in tabs) - before, "lost": lost}), flush=True)
        for task in following:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2].encode()))
