"""Runs on workers: from their due instant to their first statement, and a thousand at once.

Beside Procrastinate alone in the same run, with as many workers, one run at a time in each; by turns, so that
a busy moment of the machine hits both.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import psycopg
from procrastinate import App
from procrastinate.schema import SchemaManager

from benchmarks.machines.alone import QUEUE, SCHEMA, app_of
from benchmarks.machines.shared import JOIN, MS
from benchmarks.machines.stamp import STAMPS, stamps
from benchmarks.numbers import percentile
from benchmarks.table import Bar, Beside, Row
from scheduler.cluster.bus import Bus, Stream
from scheduler.cluster.database import Database, install
from scheduler.cluster.fence import Ended, FencedWriter, Order, Started
from scheduler.cluster.leases import Lease, Leases
from scheduler.cluster.workers.run_messages import run_of
from scheduler.cluster.workers.run_sender import RunSender, Sent
from scheduler.config.loader import load
from scheduler.core.task import Trigger
from scheduler.core.task_digest import digest
from scheduler.engine.run import RunHandle
from scheduler.process.process_info import BOOT, Running
from tests.cluster.postgres import postgres

ROOT = Path(__file__).parents[2]
TASK = """
[citizens.opus.tasks.t{number}]
every = "1h"
queue = "gpu"
handler = "benchmarks.machines.stamp:stamp"
"""
WARM = 10  # runs before those that count


def remote(quick: bool) -> Iterator[Row]:
    """Latency, and a thousand runs at once, with one, three and ten workers."""
    times, many = 100 if quick else 500, 1000
    rates: dict[int, float] = {}
    for workers in (1, 3, 10):
        with postgres() as server, tempfile.TemporaryDirectory(prefix="remote-") as folder:
            place = _Place(Path(folder), server.url(), many)
            found = asyncio.run(_measure(place, workers, times, many))
            late, known, peer_late, ours_rate, peer_rate = found
        rates[workers] = ours_rate
        yield from _latency(workers, late, known, peer_late)
        yield _drained(workers, many, ours_rate, peer_rate, rates[1])


class _Place:
    """A settings file for owner and workers, and where the runs note when they begin."""

    def __init__(self, folder: Path, url: str, tasks: int) -> None:
        self.url, self.stamps, self.config = url, folder / "stamps", folder / "experience.toml"
        self.stamps.touch()
        (folder / "root" / "opus").mkdir(parents=True)
        engine = f'[engine]\nurl = "{url}"\nmachine = "m1"\nfailover = "30s"\n'
        lines = "".join(TASK.format(number=number) for number in range(tasks))
        self.config.write_text(f'root = "{folder / "root"}"\n{engine}{lines}')

    @contextmanager
    def processes(self, number: int, *command: str) -> Iterator[None]:
        around = {**os.environ, STAMPS: str(self.stamps), "PYTHONPATH": str(ROOT)}
        begun = [
            subprocess.Popen(
                (sys.executable, *command),
                env=around,
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(number)
        ]
        try:
            yield
        finally:
            for each in begun:
                each.kill()
                each.wait()


async def _measure(
    place: _Place, workers: int, times: int, many: int
) -> tuple[list[float], list[float], list[float], float, float]:
    database = Database(place.url)
    await install(database)
    async with AsyncExitStack() as stack, database.connection() as connection:
        await connection.execute(JOIN, ("opus",))
        alone = await _alone(place.url)
        await stack.enter_async_context(alone.open_async())
        ours = await _Ours.begin(place, database)
        stack.push_async_callback(ours.close)
        stack.enter_context(place.processes(workers, "-m", "tui", "worker", "--config", str(place.config)))
        stack.enter_context(place.processes(workers, "-m", "benchmarks.machines.alone", place.url))
        await _until(lambda: _count(place.url, "experience.workers") == workers)
        await _until(lambda: _count(place.url, f"{SCHEMA}.procrastinate_workers") == workers)
        late, known, peer = list[float](), list[float](), list[float]()
        for number in range(times + WARM):
            due = time.time()
            await ours.run(0)
            known.append(time.time() - due)
            late.append(stamps(place.stamps)[-1] - due)
            peer.append(await _one(place, alone))
            if number % 20 == 0:
                await asyncio.sleep(0.05)
        rate = await _rate(place, many, lambda: ours.many(many))
        peer_rate = await _rate(place, many, lambda: _many(alone, many))
    await database.close()
    return late[WARM:], known[WARM:], peer[WARM:], rate, peer_rate


async def _rate(place: _Place, many: int, begin: Callable[[], Awaitable[object]]) -> float:
    """Runs a second until the last has begun."""
    before = len(stamps(place.stamps))
    start = time.time()
    await begin()
    await _until(lambda: len(stamps(place.stamps)) >= before + many)
    return many / (stamps(place.stamps)[-1] - start)


class _Ours:
    """What an owner does for each run: its row, its knock, and its outcome."""

    def __init__(self, place: _Place, database: Database) -> None:
        self._database = database
        self._leases = Leases(database, "m1", Running(os.getpid(), 0.0, 0.0, BOOT), 600.0)
        self._writer = FencedWriter(database)
        self._sender = RunSender(database)
        self._bus = Bus(database, self._leases.holder, self._serve, on_word=self._sender.ended)
        citizen = load(config=place.config).citizen("opus")
        assert citizen and not citizen.problems, citizen
        tasks = {task.name: digest(task, citizen.home) for task in citizen.tasks}
        self._digests = [tasks[f"t{number}"] for number in range(sum(name[0] == "t" for name in tasks))]
        self._numbers = [0] * len(self._digests)
        self._lease: Lease

    @classmethod
    async def begin(cls, place: _Place, database: Database) -> "_Ours":
        made = cls(place, database)
        made._lease = await made._leases.take("opus", "home")
        made._bus.begin()
        return made

    async def run(self, task: int) -> None:
        """Start the run, and return when its outcome is on record."""
        name, order = f"t{task}", Order("gpu", self._digests[task], 0, None)
        self._numbers[task] += 1
        now = time.time()
        state = {"run_count": self._numbers[task], "last_run": now}
        start = Started(name, self._numbers[task], "1", 1, "schedule", now, state, order=order)
        (row,) = await self._writer.write(self._lease, [start])
        handle = RunHandle(name, Trigger.SCHEDULE, now, citizen="opus")
        result = await self._sender.carry(Sent(row, self._lease, "gpu", handle, _begun, _wanted))
        assert not result.outcome.bad, result
        await self._writer.write(self._lease, [Ended(name, time.time(), 0.0, "ok", "")])

    async def many(self, number: int) -> None:
        await asyncio.gather(*map(self.run, range(number)))

    async def close(self) -> None:
        await self._sender.close()
        await self._bus.close()
        await self._writer.close()
        await self._leases.close()

    async def _serve(self, name: str, stream: Stream, asked_by: str) -> None:
        run = run_of(name)
        assert run is not None
        await self._sender.serve(run, stream)


async def _begun(machine: str) -> None: ...
def _wanted() -> bool:
    return True


# ------------------------------------------------------------------ the peer


async def _alone(url: str) -> App:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(f"CREATE SCHEMA {SCHEMA}")
        await connection.execute(f"SET search_path TO {SCHEMA}")
        await connection.execute(SchemaManager.get_schema().encode())
    return app_of(url)


async def _one(place: _Place, alone: App) -> float:
    """Seconds from deferring one job to its first statement."""
    before, due = len(stamps(place.stamps)), time.time()
    await alone.tasks["run"].configure(queue=QUEUE).defer_async(name="x")
    await _until(lambda: len(stamps(place.stamps)) > before, 0.001)
    return stamps(place.stamps)[-1] - due


async def _many(alone: App, number: int) -> None:
    deferrer = alone.tasks["run"].configure(queue=QUEUE)
    await deferrer.batch_defer_async(*({"name": str(each)} for each in range(number)))


# ------------------------------------------------------------------ the table


def _latency(
    workers: int, late: Sequence[float], known: Sequence[float], peer: Sequence[float]
) -> Iterator[Row]:
    most = 2 if workers < 10 else 3
    (p50, p99), (peer50, peer99) = (
        (MS * percentile(each, 50), MS * percentile(each, 99)) for each in (late, peer)
    )
    known50, known99 = MS * percentile(known, 50), MS * percentile(known, 99)
    bars = (Bar(f"p50 <= {most} x", p50 <= most * peer50), Bar(f"p99 <= {most} x", p99 <= most * peer99))
    known = f"its owner knows the end: {known50:.1f}, {known99:.1f} ms"
    note = f"p99 {p99:.1f} ms, of Procrastinate {peer99:.1f} ms; {known}"
    beside = (Beside("Procrastinate alone", peer50, p50 / peer50),)
    yield Row(f"due to start on a worker, {workers} there, p50", p50, "ms", beside, bars, note)


def _drained(workers: int, many: int, rate: float, peer: float, one: float) -> Row:
    bars = [Bar(">= 0.5 x", rate >= 0.5 * peer)]
    if workers == 10:
        bars.append(Bar("not below 1 worker", rate >= one))
    beside = (Beside("Procrastinate alone", peer, rate / peer),)
    return Row(f"{many} runs at once, {workers} workers", rate, "1/s", beside, tuple(bars))


async def _until(happened: Callable[[], bool], pause: float = 0.05) -> None:
    end = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < end, "nothing happens"
        await asyncio.sleep(pause)


def _count(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[call-overload]
        assert row
        return int(row[0])
