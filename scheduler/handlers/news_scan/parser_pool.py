"""Parses the documents of a scan in processes that start when needed and end with the scan.

On a thread, 200 KB of `encoding='` blocked everything for minutes: a regular expression holds the
interpreter's lock and cannot be stopped.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

from scheduler.errors import TaskFailed

MOST = 2  # processes per scan
ALL = 4  # processes of all citizens' scans at once
PATIENCE = 35.0  # seconds for one document; the process should end itself earlier
LIMIT = 64 << 20  # bytes of an answer

PROGRAM = ("-m", "scheduler.handlers.news_scan.parser")
_KEPT = ("PATH", "PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

Parse = Callable[[bytes, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


@asynccontextmanager
async def parsers() -> AsyncIterator[Parse]:
    """Yield a function that parses a document, see parser.py; at the end all processes are gone."""
    idle: list[Process] = []
    own, every = (
        asyncio.Semaphore(MOST),
        _slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(ALL)),
    )

    async def parse(body: bytes, about: Mapping[str, Any]) -> Mapping[str, Any]:
        async with own, every:
            process = idle.pop() if idle else await _start()
            answer: Mapping[str, Any] | None = None
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await _ask(process, body, about)
                return answer
            except (OSError, EOFError, ValueError):  # it died over this document
                return {"problem": "cannot be parsed: it takes too long, or too much memory"}
            finally:
                if answer is None:
                    await _end(process)
                else:
                    idle.append(process)

    try:
        yield parse
    finally:
        await asyncio.gather(*map(_end, idle))


async def _ask(process: Process, body: bytes, about: Mapping[str, Any]) -> Mapping[str, Any]:
    assert process.stdin and process.stdout
    process.stdin.writelines([json.dumps({**about, "size": len(body)}).encode(), b"\n", body])
    await process.stdin.drain()
    return dict(json.loads(await process.stdout.readline()))


async def _start() -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", *PROGRAM),  # -P: no file in the working folder can shadow a library
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            limit=LIMIT,
            env={name: os.environ[name] for name in _KEPT if name in os.environ},
            cwd="/",
            start_new_session=os.name == "posix",  # a Ctrl-C is for the scheduler only
        )
    except OSError as error:  # out of processes, memory or descriptors
        raise TaskFailed(f"cannot start a process that parses feeds: {error.strerror}") from error


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    if process.stdin:
        process.stdin.close()
    await process.wait()
