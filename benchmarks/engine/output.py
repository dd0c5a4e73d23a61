"""A command that writes far too much: what it costs in memory, and how late it makes the others."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.child import measure
from benchmarks.engine.load import Planned, Record
from benchmarks.engine.ours import FAR, Place, Watched
from benchmarks.memory import resident
from benchmarks.numbers import Sample, middle, ratio
from benchmarks.table import Bar, Beside, Row
from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Command, Task
from scheduler.engine.scheduler import Scheduler
from scheduler.storage.state_store import Store

MANY_LINES = "yes 'a line that a chatty program might print' | head -c 200000000"
ONE_LINE = "head -c 100000000 /dev/zero | tr '\\0' x"


async def loud(folder: str, script: str) -> Sample:
    """Lateness of others (ms), growth of memory (MB) and seconds while a script runs."""
    plan, record = [Planned(0.1, i / 14) for i in range(14)], Record()
    place = Place()
    await Watched(plan, record).take_in(place)
    command = Task("loud", Every(FAR), Command(("/bin/sh", "-c", script)))
    citizen = await Place(Path(folder), place.clock, place.workers).citizen(0, [command], Store())
    await _ran(citizen, 1)  # it never ran before, so it began at once: that warms up
    before, most = resident(), 0
    start = time.perf_counter()
    lateness = asyncio.create_task(record.window(3.0, plan))
    await asyncio.sleep(1.1)
    await citizen.force("loud")
    finished = asyncio.create_task(_ran(citizen, 2))
    while not (lateness.done() and finished.done()):
        await asyncio.sleep(0.01)
        most = max(most, resident())
    sample = await lateness
    sample["took"] = time.perf_counter() - start
    sample["grown"] = (most - before) / 1e6
    return sample


async def _ran(citizen: Scheduler, runs: int) -> None:
    """Return when the loud task has run so many times."""
    async for snapshot in citizen.watch():
        row = snapshot.task("loud")
        if row and row.run_count >= runs:
            return


def output(quick: bool) -> Iterator[Row]:
    """200 MB in lines, and one line of 100 MB."""
    scripts = (("200 MB of output", MANY_LINES), ("one line of 100 MB", ONE_LINE))
    for what, script in scripts[:1] if quick else scripts:
        loud: list[Sample] = []
        quiet: list[Sample] = []
        for _ in range(1 if quick else 2):
            for samples, run in ((loud, script), (quiet, "true")):
                with TemporaryDirectory() as folder:
                    (Path(folder) / "c0").mkdir()
                    samples.append(measure("engine.output:loud", folder=folder, script=run))
        grown, late = max(each["grown"] for each in loud), middle(loud, "p99")
        beside = Beside("no output", max(each["grown"] for each in quiet))
        yield Row(f"memory grown by {what}", grown, "MB", (beside,), (Bar("< 5 MB", grown < 5),))
        beside = Beside("no output", middle(quiet, "p99"), ratio(loud, quiet, "p99"))
        yield Row(f"others' p99 during {what}", late, "ms", (beside,), (Bar("< 20 ms", late < 20),))
