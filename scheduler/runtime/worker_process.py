"""Runs a worker until a signal: the first lets its runs end, the second ends them at once."""

import asyncio
import sys
from collections.abc import Collection
from functools import partial
from pathlib import Path

from scheduler.config.loader import Settings, load
from scheduler.errors import SchedulerError
from scheduler.process import main_task
from scheduler.process.startup import prepare_process, wanted_signals
from scheduler.runtime.log_output import log_lines
from scheduler.system.clock import SystemClock


def run_worker(
    config: Path | None, queues: Collection[str], concurrency: int, *, log_json: bool = False
) -> int:
    """Work for these queues, or for all in the settings; return the exit code.

    Raises SchedulerError.
    """
    settings = load(config=config).valid()
    if settings.engine is None:
        raise SchedulerError(
            f"a worker needs the database that machines share; add [engine] to {settings.file}"
        )
    wanted = sorted(set(queues) or _queues(settings))
    if not wanted:
        raise SchedulerError(
            f'no task has a queue; add queue = "gpu" to one in {settings.file}, or name --queue'
        )
    with log_lines(sys.stdout, as_json=log_json):
        return main_task.run(_work(settings, config, wanted, concurrency))


def _queues(settings: Settings) -> set[str]:
    return {task.queue for citizen in settings.citizens for task in citizen.tasks if task.queue}


async def _work(settings: Settings, config: Path | None, queues: Collection[str], concurrency: int) -> int:
    # Optional: PostgreSQL's client and Procrastinate are installed only with the extra.
    from scheduler.cluster.workers.worker import Worker

    prepare_process()
    assert settings.engine
    clock, stop = SystemClock(), asyncio.Event()
    read = partial(load, config=config)
    worker = Worker(settings, read, settings.engine, queues, concurrency, clock)

    def asked() -> None:
        if stop.is_set():
            worker.stop_now()
        stop.set()

    for number in wanted_signals("SIGTERM", "SIGINT", "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(number, asked)
    try:
        await worker.work(stop)
    finally:
        clock.close()
    return 0
