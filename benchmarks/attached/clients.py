"""Two hundred clients at one citizen's socket, some of them mad: what the owner and the others notice."""

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.child import HERE, measure
from benchmarks.engine.load import Planned, Record
from benchmarks.engine.ours import Place, Watched
from benchmarks.memory import resident
from benchmarks.numbers import Sample, middle, ratio
from benchmarks.table import Bar, Beside, Row
from scheduler.control.wire.server import Server
from scheduler.core.task import Task
from scheduler.engine.scheduler import Scheduler
from scheduler.storage.state_store import Store

CLIENTS = 200
JOBS = 7  # of the one citizen that everybody watches: 10.6 runs, 21 changes a second


def clients(quick: bool) -> Iterator[Row]:
    """Lateness, memory and what well-behaved clients see, beside the same load without clients."""
    seconds = 10 if quick else 60
    crowded, alone = [_served(CLIENTS, seconds)], [_served(0, min(seconds, 20))]
    for key in ("p50", "p99"):
        late = middle(crowded, key)
        beside = Beside("alone", middle(alone, key), ratio(crowded, alone, key))
        bars = (Bar("< 10 ms", late < 10),) if key == "p99" else ()
        yield Row(
            f"dispatch {key}, {CLIENTS} clients, 10 stuck, 10 sending junk", late, "ms", (beside,), bars
        )
    (crowd,) = crowded
    grown = crowd["grown"]
    beside = Beside("alone", middle(alone, "grown"))
    note = f"{crowd['junk'] / 1e6:,.0f} MB of junk in {seconds} s"
    yield Row(
        f"memory grown by {CLIENTS} clients", grown, "MB", (beside,), (Bar("< 20 MB", grown < 20),), note
    )
    beside = Beside("alone", middle(alone, "cpu"))
    yield Row(f"owner's CPU with {CLIENTS} clients", crowd["cpu"], "% of a core", (beside,))
    bars = (Bar("< 200 ms", crowd["news_p99"] < 200), Bar("none hung up on", not crowd["lost"]))
    note = f"p50 {crowd['news_p50']:.3g} ms of {crowd['snapshots']:,.0f} snapshots"
    yield Row("age of news at well-behaved clients, p99", crowd["news_p99"], "ms", (), bars, note)
    yield Row(
        "their questions answered, p99", crowd["answer"], "ms", (), (Bar("< 200 ms", crowd["answer"] < 200),)
    )


def _served(count: int, seconds: int) -> Sample:
    with TemporaryDirectory() as folder:
        return measure("attached.clients:served", folder=folder, count=count, seconds=seconds)


# ------------------------------------------------------------------ in a process of their own


@dataclass(slots=True)
class Served(Place):
    """Where the citizens live, each with a socket."""

    sockets: Path = Path()
    servers: list[Server] = field(default_factory=list)

    async def citizen(self, number: int, tasks: Iterable[Task], store: Store) -> Scheduler:
        scheduler = await Place.citizen(self, number, tasks, store)
        self.servers.append(Server(scheduler, self.sockets / f"{number}.sock", scheduler.home))
        await self.servers[-1].open()
        return scheduler


async def served(folder: str, count: int, seconds: float) -> Sample:
    """How late runs begin while so many clients are there, and what these saw."""
    plan, record = [Planned(0.4 + 0.1 * job, job / JOBS) for job in range(JOBS)], Record()
    await Watched(plan, record).take_in(Served(sockets=Path(folder)))
    before = resident()
    crowd = await _crowd(Path(folder) / "0.sock", count) if count else None
    window = asyncio.create_task(record.window(seconds, plan))
    most, cpu = await _most_memory(window)
    sample = {**await window, "grown": (most - before) / 1e6, "cpu": cpu}
    if crowd:
        output, _ = await crowd.communicate(b"")
        seen = json.loads(output)
        sample |= {**seen, "news_p50": seen["p50"], "news_p99": seen["p99"]}
        sample |= {key: (await window)[key] for key in ("p50", "p99")}
    return sample


async def _crowd(path: Path, count: int) -> asyncio.subprocess.Process:
    crowd = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.attached.crowd", str(path), str(count)),
        cwd=HERE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert crowd.stdout is not None
    await crowd.stdout.readline()
    return crowd


async def _most_memory(until: "asyncio.Task[Sample]") -> tuple[int, float]:
    """The most bytes in memory meanwhile, and the CPU time in percent of a core."""
    import time

    most, cpu, start = 0, time.process_time(), time.perf_counter()
    while not until.done():
        await asyncio.sleep(0.1)
        most = max(most, resident())
    return most, 100 * (time.process_time() - cpu) / (time.perf_counter() - start)
