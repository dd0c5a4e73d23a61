"""Runs on workers: from their due instant to their first statement, and a thousand at once.

Beside Procrastinate alone in the same run, with as many workers, one run at a time in each; by turns, also
between one, three and ten workers, so that a busy moment of the machine hits all of them.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

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
WORKERS = (1, 3, 10)
WARM = 10  # runs before those that count


def remote(quick: bool) -> Iterator[Row]:
    """Latency, and a thousand runs at once, with one, three and ten workers that take turns."""
    times, many, rounds = 300 if quick else 1000, 1000, 3 if quick else 7  # p99 of 100 is the worst one
    with postgres() as server, tempfile.TemporaryDirectory(prefix="remote-") as folder:
        places = [_Place(Path(folder) / str(each), server.new_database(), many, each) for each in WORKERS]
        found = asyncio.run(_measure(places, times, many, rounds))
    one = found[0].rates
    for each in found:
        yield from _latency(each.workers, each.late, each.known, each.peer_late)
        yield _drained(each.workers, many, each.rates, each.peer_rates, one)


class _Place:
    """A settings file for owner and workers, and where the runs note when they begin."""

    def __init__(self, folder: Path, url: str, tasks: int, workers: int) -> None:
        self.url, self.workers = url, workers
        self.stamps, self.config = folder / "stamps", folder / "experience.toml"
        (folder / "root" / "opus").mkdir(parents=True)
        self.stamps.touch()
        engine = f'[engine]\nurl = "{url}"\nmachine = "m1"\nfailover = "30s"\n'
        lines = "".join(TASK.format(number=number) for number in range(tasks))
        self.config.write_text(f'root = "{folder / "root"}"\n{engine}{lines}')

    @contextmanager
    def processes(self, *command: str) -> Iterator[None]:
        around = {**os.environ, STAMPS: str(self.stamps), "PYTHONPATH": str(ROOT)}
        begun = [
            subprocess.Popen(
                (sys.executable, *command),
                env=around,
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(self.workers)
        ]
        try:
            yield
        finally:
            for each in begun:
                each.kill()
                each.wait()


@dataclass
class _Contest:
    """Ours and the peer with the same number of workers, and what was measured of both."""

    place: _Place
    ours: "_Ours"
    alone: App
    late: list[float] = field(default_factory=list)
    known: list[float] = field(default_factory=list)
    peer_late: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    peer_rates: list[float] = field(default_factory=list)

    @property
    def workers(self) -> int:
        return self.place.workers

    async def one_each(self) -> None:
        due = time.time()
        await self.ours.run(0)
        self.known.append(time.time() - due)
        self.late.append(stamps(self.place.stamps)[-1] - due)
        self.peer_late.append(await _one(self.place, self.alone))

    async def many_each(self, many: int, *, peer_first: bool) -> None:
        turns = [
            (self.rates, lambda: self.ours.many(many)),
            (self.peer_rates, lambda: _many(self.alone, many)),
        ]
        for rates, begin in reversed(turns) if peer_first else turns:
            rates.append(await _rate(self.place, many, begin))


async def _measure(places: Sequence[_Place], times: int, many: int, rounds: int) -> list[_Contest]:
    async with AsyncExitStack() as stack:
        contests = [await stack.enter_async_context(_contest(place)) for place in places]
        for each in contests:
            for number in range(times + WARM):
                await each.one_each()
                if number % 20 == 0:
                    await asyncio.sleep(0.05)
            del each.late[:WARM], each.known[:WARM], each.peer_late[:WARM]
        for number in range(rounds):
            for each in contests:
                await each.many_each(many, peer_first=number % 2 == 1)
    return contests


@asynccontextmanager
async def _contest(place: _Place) -> AsyncIterator[_Contest]:
    database = Database(place.url)
    await install(database)
    async with AsyncExitStack() as stack, database.connection() as connection:
        await connection.execute(JOIN, ("opus",))
        alone = await _alone(place.url)
        await stack.enter_async_context(alone.open_async())
        ours = await _Ours.begin(place, database)
        stack.push_async_callback(ours.close)
        stack.enter_context(place.processes("-m", "tui", "worker", "--config", str(place.config)))
        stack.enter_context(place.processes("-m", "benchmarks.machines.alone", place.url))
        await _until(lambda: _count(place.url, "experience.workers") == place.workers)
        await _until(lambda: _count(place.url, f"{SCHEMA}.procrastinate_workers") == place.workers)
        yield _Contest(place, ours, alone)
    await database.close()


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


def _drained(
    workers: int, many: int, rates: Sequence[float], peer: Sequence[float], one: Sequence[float]
) -> Row:
    """The medians of the rounds, and of the ratios within each."""
    to_peer, to_one = _ratio(rates, peer), _ratio(rates, one)
    beside = [Beside("Procrastinate alone", median(peer), to_peer)]
    bars = [Bar(">= 0.5 x", to_peer >= 0.5)]
    if workers > 1:
        beside.append(Beside("1 worker", median(one), to_one))
    if workers == 10:
        bars.append(Bar("not below 1 worker", to_one >= 1))
    rounds = f"rounds: {', '.join(f'{each:.0f}' for each in rates)}"
    return Row(
        f"{many} runs at once, {workers} workers", median(rates), "1/s", tuple(beside), tuple(bars), rounds
    )


def _ratio(ours: Sequence[float], beside: Sequence[float]) -> float:
    return median(mine / other for mine, other in zip(ours, beside, strict=True))


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
