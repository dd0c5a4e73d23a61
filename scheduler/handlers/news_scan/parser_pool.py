"""Processes that read feed documents for one scan: started when needed, ended with it.

In a thread of ours, 200 KB of `encoding='` held up everything for minutes: a regular expression keeps
the interpreter's lock, and nothing ends it.
"""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakKeyDictionary

from scheduler.errors import TaskFailed

MOST = 2  # processes of one scan
ALL = 4  # processes of all scans at once, of however many citizens
PATIENCE = 35.0  # seconds for one document; the process ends itself before

_PROGRAM = str(Path(__file__).with_name("parser.py"))
_KEPT = ("PATH", "PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Document:
    """The bytes of a feed, what the server calls them, and where they are from."""

    body: bytes = field(repr=False)
    type: str
    base: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Line:
    """One item: its id within the feed, and its text as JSON, empty where no keyword is in it."""

    key: str
    text: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """What a document holds, or the problem with it."""

    lines: tuple[Line, ...] = ()
    problem: str = ""


class Readers:
    """The processes of one scan; nothing of them is left when it ends."""

    def __init__(self, keywords: Sequence[str] = ()) -> None:
        self._keywords = list(keywords)
        self._idle: list[Process] = []
        self._mine = asyncio.Semaphore(MOST)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(_end(process) for process in self._idle))

    async def read(self, document: Document) -> Reading:
        """The items of the document; a process that dies over it is this document's problem alone."""
        async with self._mine, _slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(ALL)):
            process = self._idle.pop() if self._idle else await _start()
            answered = False
            try:
                async with asyncio.timeout(PATIENCE):
                    reading = await self._asked(process, document)
                answered = True
                return reading
            except (OSError, EOFError, ValueError):
                return Reading(problem="cannot be read: it takes too long, or too much memory")
            finally:
                if answered:
                    self._idle.append(process)
                else:
                    await _end(process)

    async def _asked(self, process: Process, document: Document) -> Reading:
        assert process.stdin and process.stdout
        head = {"size": len(document.body), "type": document.type, "base": document.base}
        order = json.dumps({**head, "keywords": self._keywords})
        process.stdin.writelines([order.encode(), b"\n", document.body])
        await process.stdin.drain()
        answer = json.loads(await process.stdout.readline())
        payload = await process.stdout.readexactly(answer["size"])
        return Reading(tuple(map(_line, payload.splitlines())), answer["problem"])


def _line(line: bytes) -> Line:
    """`0123456789abcdef 1 {...}`."""
    return Line(line[:16].decode("ascii"), line[19:])


async def _start() -> Process:
    around = {name: os.environ[name] for name in _KEPT if name in os.environ}
    argv = (sys.executable, "-P", _PROGRAM)  # -P: no file of the working folder stands in for a library
    own_group = os.name == "posix"  # an interrupt from the terminal is for us to handle
    try:
        return await asyncio.create_subprocess_exec(
            *argv, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=around, cwd="/", start_new_session=own_group
        )
    except OSError as error:  # out of processes, memory or descriptors
        raise TaskFailed(f"no process to read feeds could be started: {error.strerror}") from error


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    if process.stdin:
        process.stdin.close()
    await process.wait()
