"""Runs the main coroutine of a process, and names a handler that stops the loop or cancels all its tasks."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from scheduler.errors import SchedulerError
from scheduler.process.thread_pool import UnblockedPool

T = TypeVar("T")

THREADS = 6  # for short looks at files, besides those that hang

log = logging.getLogger("experience")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Return what the coroutine returns; if a run cancels it, let it clean up and raise SchedulerError."""
    return asyncio.run(_named(work))


async def _named(work: Coroutine[Any, Any, T]) -> T:
    _keep_turning()
    asyncio.get_running_loop().set_default_executor(UnblockedPool(THREADS, "look"))
    main = _Main(work, loop=asyncio.get_running_loop())
    try:
        return await main
    except asyncio.CancelledError:
        if not main.culprit:
            raise
        fix = 'a handler in a file of its own, "file.py:function", runs in its own process'
        text = f"{main.culprit} cancelled all tasks of this process, so it has ended; {fix}"
        raise SchedulerError(text) from None


class _Main(asyncio.Task[T]):
    """Remembers which run cancelled it: libraries' clean-up code may cancel all tasks of a loop."""

    culprit = ""

    def cancel(self, msg: Any | None = None) -> bool:
        self.culprit = self.culprit or _current()
        return super().cancel(msg)


def _current() -> str:
    """The run whose code calls this, "" if none; runs are named citizen/task."""
    current = asyncio.current_task()
    return current.get_name() if current and "/" in current.get_name() else ""


def _keep_turning() -> None:
    """Refuse to stop the loop before its work is done: that would end every citizen of this process."""
    loop, work = asyncio.get_running_loop(), asyncio.current_task()
    stop = loop.stop

    def stop_when_done() -> None:
        if work is None or work.done():
            stop()
        else:
            log.warning(f"{_current() or 'a handler'} asked the event loop to stop; it goes on")

    loop.stop = stop_when_done  # type: ignore[method-assign]  # asyncio offers no other way
