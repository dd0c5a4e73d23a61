"""The floor: a heap, one precise timer and one asyncio task a run; no state, no history, no rules."""

import asyncio
import contextlib
import ctypes
import heapq
import json
import os
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from benchmarks.engine.load import FinishLine, Record, staggered
from benchmarks.numbers import Sample
from scheduler.process.garbage_collection import freeze_memory

SLICE = 256  # dispatches in one turn of the loop
CITIZEN = 7  # tasks whose states lie in one file

_LIBC = ctypes.CDLL(None, use_errno=True)


class TimerFd:
    """An absolute timer on the real-time clock that the event loop can wait for."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._fd = _LIBC.timerfd_create(0, os.O_NONBLOCK | os.O_CLOEXEC)
        self._spec = (ctypes.c_long * 4)()
        _LIBC.prctl(29, 1, 0, 0, 0)  # PR_SET_TIMERSLACK: 1 ns instead of 50 us
        asyncio.get_running_loop().add_reader(self._fd, self._ready)

    def set(self, when: float) -> None:
        self._spec[2], self._spec[3] = int(when), int(when % 1 * 1e9)
        _LIBC.timerfd_settime(self._fd, 1, self._spec, None)

    def _ready(self) -> None:
        with contextlib.suppress(BlockingIOError):  # set again in the meantime
            os.read(self._fd, 8)
        self._ring()


class Floor:
    """Runs `work(job, due)` as a task of its own whenever a job is due."""

    def __init__(
        self, heap: list[tuple[float, int, float]], work: Callable[[float], Coroutine[Any, Any, None]]
    ) -> None:
        self._heap, self._work = heap, work
        self._loop = asyncio.get_running_loop()
        self._live: set[asyncio.Task[None]] = set()
        heapq.heapify(heap)
        self._timer = TimerFd(self._turn)
        self._turn()

    def _turn(self) -> None:
        heap = self._heap
        for _ in range(SLICE):
            due, job, every = heap[0]
            if due > time.time():
                self._timer.set(due)
                return
            heapq.heapreplace(heap, (due + every, job, every))
            task = self._loop.create_task(self._work(due))
            self._live.add(task)
            task.add_done_callback(self._live.discard)
        self._loop.call_soon(self._turn)


async def lateness(jobs: int, seconds: float, folder: str | None = None) -> Sample:
    """How late runs begin; with a folder, the state is written and renamed in a thread before each."""
    plan, record = staggered(jobs), Record()
    path = Path(folder, "state") if folder else None

    async def work(due: float) -> None:
        if path:
            await asyncio.get_running_loop().run_in_executor(None, _replace, path)
        record.began(time.time(), due)

    base = time.time() + 0.5
    floor = Floor([(base + job.phase * job.every, i, job.every) for i, job in enumerate(plan)], work)
    freeze_memory()
    sample = await record.window(seconds, plan)
    del floor
    return sample


def _replace(path: Path) -> None:
    state = {
        f"task{job}": {"last_run": time.time(), "run_count": job, "running": None} for job in range(CITIZEN)
    }
    partial = path.with_name(f"{threading.get_ident()}")
    partial.write_text(json.dumps(state))
    partial.replace(path)


async def burst(jobs: int) -> Sample:
    """All jobs due at one instant: seconds until the last one began."""
    line = FinishLine(jobs)

    async def work(due: float) -> None:
        line.passed()

    due = time.time() + 0.5
    floor = Floor([(due, i, 7200.0) for i in range(jobs)], work)
    freeze_memory()
    sample = await line.seconds_since(due)
    del floor
    return sample


async def empty_loop(jobs: int, seconds: float) -> Sample:
    """CPU time of a loop that waits, in percent of a core; there are no jobs."""
    await asyncio.sleep(1)
    before = time.process_time()
    await asyncio.sleep(seconds)
    return {"cpu": 100 * (time.process_time() - before) / seconds}
