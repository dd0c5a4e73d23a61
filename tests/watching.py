"""What tests of the workers share: a listener that records its calls, and short ways to a task."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Call, Command, Context, Task, Work
from scheduler.executors.executor import Executor
from scheduler.executors.output import OutputBuffer
from scheduler.executors.result import Result
from scheduler.process.process_info import Running, stat


class Watching:
    """A Watcher that remembers; `recorded` stands for the state file."""

    def __init__(self, recorded: Callable[[Running], Awaitable[None]] | None = None) -> None:
        self.output = OutputBuffer()
        self.running: Running | None = None
        self.left: list[tuple[str, Callable[[], bool]]] = []
        self._recorded = recorded

    async def carried_by(self, running: Running) -> None:
        self.running = running
        if self._recorded:
            await self._recorded(running)

    def exited(self) -> None: ...

    def left_behind(self, what: str, alive: Callable[[], bool], process: Running | None = None) -> None:
        self.left.append((what, alive))

    def said(self, word: str) -> bool:
        return word in self.output.text()


def task(work: Work) -> Task:
    return Task("chore", Every(60.0), work)


def context(home: Path, **more: Any) -> Context:
    return Context("opus", home, "chore", **more)


def shell(script: str, **more: Any) -> Command:
    return Command(("sh", "-c", script), **more)


async def call(workers: Executor, function: Any, home: Path, watching: Watching | None = None) -> Result:
    return await workers.run(task(Call(function)), context(home), watching or Watching())


@contextlib.asynccontextmanager
async def under_way(workers: Executor, work: Work, home: Path, watching: Watching) -> AsyncIterator[Any]:
    """A run on a task of its own, ended whatever the test does."""
    running = asyncio.create_task(workers.run(task(work), context(home), watching))
    try:
        yield running
    finally:
        workers.stop_now()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def cancelled(running: "asyncio.Task[Result]") -> None:
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert running.cancelled()


def gone(pid: int) -> bool:
    """No such process, or only its shell of a zombie."""
    found = stat(pid)
    return found is None or found.state in "ZX"


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
