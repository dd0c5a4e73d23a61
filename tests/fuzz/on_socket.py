"""The owner's end of the socket: after whatever a client said, it answers the next one."""

import asyncio
import json
from collections.abc import Coroutine
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from scheduler.control.wire import server
from scheduler.control.wire.client import Connection
from tests.fakes import until
from tests.fuzz.bent import bent
from tests.integration.sockets.test_socket import Owner

LONGEST = 30.0  # seconds that one conversation may take, on a machine that is busy with other things
REQUESTS = [
    json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n"
    for method, params in (
        ("watch", {"after": 0}),
        ("ping", {}),
        ("force", {"task": "tick", "again": True}),
        ("reset", {"task": "tick"}),
        ("pause", {"task": "slow"}),
        ("resume", {"task": "slow"}),
        ("wake", {}),
        ("follow", {"task": "slow"}),
        ("cancel", {"id": 1}),
        ("history", {"task": None, "limit": 5, "failed": True, "before": 9}),
        ("output", {"run": 1}),
        ("explain", {"task": "tick"}),
        ("wait", {"task": "tick", "run": 1}),
        ("slots", {"tasks": ["tick"], "window": {"start": 1.0, "cell": 60.0, "cells": 9}}),
    )
]
TOKENS = (b'"id": ', b'"method": "', b'"params": ', b'"task": "tick"', b"\n", b'{"jsonrpc": "2.0"', *REQUESTS)
CASES = st.lists(bent(REQUESTS, TOKENS), min_size=1, max_size=6)


class Rig:
    """An owner on a loop of its own, which every example talks to."""

    def __init__(self) -> None:
        server.PACE = 0.0
        self._folder = TemporaryDirectory()
        self._runner = asyncio.Runner()
        self.loop = self._runner.get_loop()
        self.broken: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda loop, context: self.broken.append(context))
        self.owner = self.run(self._open())

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(coroutine)

    def close(self) -> None:
        self.run(self.owner.close())
        self._runner.close()
        self._folder.cleanup()

    async def _open(self) -> Owner:
        home = Path(self._folder.name) / "opus"
        home.mkdir()
        owner = Owner(home)
        await owner.open()
        return owner


rig = cache(Rig)


def check(chunks: list[bytes]) -> None:
    here = rig()
    here.run(asyncio.wait_for(_converse(here.owner, chunks), LONGEST))
    assert not here.broken, here.broken


async def _converse(owner: Owner, chunks: list[bytes]) -> None:
    reader, writer = await asyncio.open_unix_connection(str(owner.path))
    with suppress(OSError):  # it may hang up on us at any time
        for chunk in chunks:
            writer.write(chunk + b"\n")
            await writer.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                while await reader.read(65536):
                    pass
    writer.transport.abort()
    other = await Connection.open(owner.at)
    assert await other.ask("ping") is None
    other.close()
    with suppress(AssertionError):  # clients end by themselves, but not before the next example
        await until(lambda: owner.server.clients == 0, "all have ended", 1)
