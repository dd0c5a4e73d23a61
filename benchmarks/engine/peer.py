"""The peer: APScheduler 3, its asyncio scheduler, with the jobs in memory or in SQLite."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from apscheduler.jobstores.memory import MemoryJobStore  # type: ignore[import-untyped]  # it has no types
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore  # type: ignore[import-untyped]  # it has no types
from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]  # it has no types
from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]  # it has no types

from benchmarks.engine.load import FinishLine, Record, staggered
from benchmarks.memory import resident
from benchmarks.numbers import Sample
from scheduler.process.garbage_collection import freeze_memory

FAR = 7200.0
ADDING = 1.5e-4  # seconds that it may take to add a job

# Jobs in SQLite are stored by the name of their function: it must be one of this module.
began: Callable[[int], None]


async def job(number: int) -> None:
    began(number)


def _scheduler(store: Any = None) -> AsyncIOScheduler:
    rules = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    scheduler = AsyncIOScheduler(
        jobstores={"default": store or MemoryJobStore()}, timezone=UTC, job_defaults=rules
    )
    scheduler.start(paused=True)
    return scheduler


def _add(scheduler: AsyncIOScheduler, number: int, every: float, first: float) -> None:
    at = datetime.fromtimestamp(first, UTC)
    trigger = IntervalTrigger(seconds=int(every), start_date=at, timezone=UTC)
    scheduler.add_job(job, trigger, args=(number,), id=str(number), next_run_time=at)


def _call(function: Callable[[int], None]) -> None:
    global began
    began = function


async def lateness(jobs: int, seconds: float) -> Sample:
    plan, record = staggered(jobs), Record()
    base = time.time() + 0.5 + jobs * ADDING
    first = [base + job.phase * job.every for job in plan]

    def note(number: int) -> None:
        now, every = time.time(), plan[number].every
        late = (now - first[number]) % every  # it keeps to its grid; a lag of a whole interval is forgiven
        record.began(now, now - late)

    _call(note)
    scheduler = _scheduler()
    for number, planned in enumerate(plan):
        _add(scheduler, number, planned.every, first[number])
    freeze_memory()
    scheduler.resume()
    return await record.window(seconds, plan)


async def burst(jobs: int) -> Sample:
    """All jobs due at one instant: seconds until the last one began."""
    line = FinishLine(jobs)
    _call(lambda number: line.passed())
    scheduler = _scheduler()
    due = time.time() + 0.5 + jobs * ADDING
    for number in range(jobs):
        _add(scheduler, number, FAR, due)
    freeze_memory()
    scheduler.resume()
    return await line.seconds_since(due)


async def registration(jobs: int) -> Sample:
    """Seconds, and bytes a job, to take up jobs that are due in the far future."""
    due = time.time() + FAR
    freeze_memory()
    memory, start = resident(), time.perf_counter()
    scheduler = _scheduler()
    for number in range(jobs):
        _add(scheduler, number, FAR, due)
    took = time.perf_counter() - start
    return {"seconds": took, "bytes": (resident() - memory) / jobs}


async def durable(folder: str, seconds: float) -> Sample:
    """Runs a second of seven jobs asked for one after the other, each change committed to SQLite."""
    done = asyncio.Event()
    _call(lambda number: done.set())
    scheduler = _scheduler(SQLAlchemyJobStore(url=f"sqlite:///{folder}/jobs.sqlite"))
    for number in range(7):
        _add(scheduler, number, FAR, time.time() + FAR)
    scheduler.resume()
    runs, start = 0, time.perf_counter()
    while (took := time.perf_counter() - start) < seconds:
        done.clear()
        scheduler.modify_job(str(runs % 7), next_run_time=datetime.now(UTC))
        await done.wait()
        runs += 1
    return {"per_second": runs / took}


async def durable_at_once(folder: str, jobs: int) -> Sample:
    """Runs a second of many jobs due at one instant: what SQLite does best."""
    line = FinishLine(jobs)
    _call(lambda number: line.passed())
    scheduler = _scheduler(SQLAlchemyJobStore(url=f"sqlite:///{folder}/jobs.sqlite"))
    due = time.time()
    for number in range(jobs):
        _add(scheduler, number, FAR, due)
    start = time.time()
    scheduler.resume()
    return {"per_second": jobs / (await line.seconds_since(start))["seconds"]}
