"""Work on a thread that ends by itself once nobody wants it any more."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from scheduler.errors import TaskFailed
from scheduler.system.threads import in_thread

ENDING = 5.0  # seconds that the thread gets to clean up

Stop = Callable[[], bool]  # whether to end now
T = TypeVar("T")


class Stopped(Exception):
    """Raised on the thread where it notices."""


async def on_thread(function: Callable[[Stop], T], name: str) -> T:
    """What the function comes to; when we are cancelled it is told to stop, and waited for a little."""
    stop = threading.Event()
    work = asyncio.ensure_future(in_thread(partial(function, stop.is_set), name, lambda thread: None))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        with suppress(asyncio.CancelledError, TimeoutError, Stopped, TaskFailed, OSError):
            await asyncio.wait_for(work, ENDING)
        raise


def go_on(stop: Stop) -> None:
    """Raise Stopped if it is time."""
    if stop():
        raise Stopped
