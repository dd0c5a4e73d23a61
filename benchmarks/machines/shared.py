"""What sharing costs: a start that is committed first, a verb and a picture by way of the database.

Each beside its floor in the same run: a durable commit of one row, and a notification to a listener.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

from benchmarks.numbers import percentile
from benchmarks.table import Bar, Beside, Row
from scheduler.cluster.bus import Bus, Stream
from scheduler.cluster.database import Database, install
from scheduler.cluster.fence import Ended, FencedWriter, Started
from scheduler.cluster.leases import Lease, Leases
from scheduler.process.process_info import BOOT, Running
from tests.cluster.postgres import postgres

JOIN = "INSERT INTO experience.owners VALUES (%s, 0, gen_random_uuid(), '', '{}', 'home', '', now())"
MS = 1000.0


def shared(quick: bool) -> Iterator[Row]:
    """Starts, verbs and pictures, one at a time, and a thousand starts at once."""
    with postgres() as server:
        yield from asyncio.run(_measure(server.url(), 100 if quick else 1000))


async def _measure(url: str, times: int) -> list[Row]:
    database = Database(url)
    await install(database)
    async with database.connection() as connection:
        await connection.execute(JOIN, ("opus",))
        await connection.execute("CREATE TABLE floor (id bigint GENERATED ALWAYS AS IDENTITY, line text)")
    leases = Leases(database, "m1", Running(os.getpid(), 0.0, 0.0, BOOT), 600.0)
    lease = await leases.take("opus", "home")
    writer = FencedWriter(database)
    rows = [
        await _starts(database, writer, lease, times),
        await _at_once(writer, lease, times),
        *await _verbs(database, leases, times),
    ]
    await leases.close()
    await writer.close()
    await database.close()
    return rows


async def _starts(database: Database, writer: FencedWriter, lease: Lease, times: int) -> Row:
    async with database.connection() as connection:

        async def commit(number: int) -> None:
            await connection.execute("INSERT INTO floor (line) VALUES ('x')")

        async def start(number: int) -> None:
            assert all(await writer.write(lease, [_start(f"t{number}")]))

        floor, ours = [], []
        for number in range(times):  # by turns: a busy moment hits both
            floor.append(await _took(commit, number))
            ours.append(await _took(start, number))
    p50, p99, floor50, floor99 = *_p(ours), *_p(floor)
    return Row(
        "a fenced start, p50",
        p50,
        "ms",
        (Beside("durable commit of one row", floor50, p50 / floor50),),
        (Bar("p50 <= 3 x", p50 <= 3 * floor50), Bar("p99 <= 3 x + 1 ms", p99 <= 3 * floor99 + 1)),
        f"p99 {p99:.2f} ms, of the commit {floor99:.2f} ms",
    )


async def _at_once(writer: FencedWriter, lease: Lease, times: int) -> Row:
    start = time.perf_counter()
    await asyncio.gather(*(writer.write(lease, [_start(f"u{number}")]) for number in range(times)))
    ends = [Ended(f"u{number}", 2.0, 1.0, "ok", "") for number in range(times)]
    await asyncio.gather(*(writer.write(lease, [end]) for end in ends))
    rate = times / (time.perf_counter() - start)
    return Row("runs at once, row and outcome", rate, "1/s", (), ())


async def _verbs(database: Database, leases: Leases, times: int) -> list[Row]:
    async def accept(citizen: str, stream: Stream, asked_by: str) -> None:
        while line := await stream.reader.readline():
            stream.write(line)

    owner, client = Bus(database, leases.holder, accept), Bus(database, uuid4(), accept)
    owner.begin()
    stream = await client.connect("opus", "home", "")
    async with listener(database) as heard, database.connection() as sender:

        async def notify(number: int) -> None:
            await sender.execute("SELECT pg_notify('floor', 'x')")
            await heard.get()

        async def verb(number: int) -> None:
            stream.write(b'{"method": "force"}\n')
            await stream.reader.readline()

        async def picture(number: int) -> None:
            stream.write(b"x" * 20_000 + b"\n")
            await stream.reader.readline()

        floor, verbs, pictures = [], [], []
        for number in range(times):
            floor.append(await _took(notify, number))
            verbs.append(await _took(verb, number))
            pictures.append(await _took(picture, number))
    stream.abort()
    await client.close()
    await owner.close()
    floor50, floor99 = _p(floor)
    rows = []
    for name, found, most in (("a verb and its answer", verbs, 50), ("20 KB there and back", pictures, 200)):
        p50, p99 = _p(found)
        beside = (Beside("a notification", floor50, p50 / floor50),)
        bars = (Bar(f"p99 <= {most} ms", p99 <= most),)
        more = f"p99 {p99:.1f} ms, of the notification {floor99:.1f} ms"
        rows.append(Row(f"{name}, p50", p50, "ms", beside, bars, more))
    return rows


@asynccontextmanager
async def listener(database: Database) -> "AsyncIterator[asyncio.Queue[str]]":
    """The notifications of the floor, as a queue."""
    connection = await database.connect()
    await connection.execute("LISTEN floor")
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def listen() -> None:
        async for notification in connection.notifies():
            heard.put_nowait(notification.payload)

    task = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.wait({task})
        await connection.close()


def _start(task: str) -> Started:
    return Started(task, 1, "1", 1, "schedule", 1.0, {"run_count": 1, "last_run": 1.0})


async def _took(work: Callable[[int], Awaitable[None]], number: int) -> float:
    start = time.perf_counter()
    await work(number)
    return MS * (time.perf_counter() - start)


def _p(found: list[float]) -> tuple[float, float]:
    return percentile(found, 50), percentile(found, 99)
