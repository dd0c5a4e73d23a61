"""Runs a function on a thread and stops it when the run is cancelled."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from scheduler.errors import TaskFailed
from scheduler.process.threads import in_thread

ENDING = 5.0  # seconds that the thread gets to clean up

Stop = Callable[[], bool]  # whether to end now
T = TypeVar("T")


class Stopped(Exception):
    """The function ended because its run was cancelled."""


async def on_thread(function: Callable[[Stop], T], name: str) -> T:
    """The result of the function; on cancel, stop it and wait a few seconds for its end."""
    stop = threading.Event()
    work = asyncio.ensure_future(in_thread(partial(function, stop.is_set), name, lambda thread: None))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        with suppress(asyncio.CancelledError, TimeoutError, Stopped, TaskFailed, OSError):
            await asyncio.wait_for(work, ENDING)
        raise


def raise_if_stopped(stop: Stop) -> None:
    """Raise Stopped if the run was cancelled."""
    if stop():
        raise Stopped
