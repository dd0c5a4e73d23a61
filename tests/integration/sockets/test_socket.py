"""The socket of an owner: no client can harm the owner or another client."""

import asyncio
import itertools
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.control.wire import messages
from scheduler.control.wire.client import RETRY, RETRY_MAX, Connection, RemoteControl
from scheduler.control.wire.connection_limits import CLIENTS
from scheduler.control.wire.server import ACCEPTED, MISTAKES, READ_SIZE, REQUESTS, Server
from scheduler.core.schedules.schedule import Cron, Every
from scheduler.core.task import Call, Task
from scheduler.core.views import OWNER_GONE, TaskStatus
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import AlreadyRunning, Disconnected, NotOurs, UnknownTask
from scheduler.executors.executor import Executor
from scheduler.executors.stdout_capture import current
from scheduler.storage.state_store import Store
from scheduler.system.clock import SystemClock
from scheduler.system.unix_socket import PATH_LIMIT, HomeSocket, Peer, shared_path, socket_path
from tests.fakes import until


class Owner:
    """A scheduler with a socket, on this loop."""

    def __init__(self, home: Path) -> None:
        (home / ".experience").mkdir(exist_ok=True)
        self.gate = asyncio.Event()
        self.clock, self.workers = SystemClock(), Executor()
        tasks = [
            Task("slow", Every(86400), Call(self.slow)),
            Task("tick", Every(0.05), Call(self.tick)),
            Task("talk", Cron("59 23 31 12 *"), Call(self.talk)),
        ]
        self.scheduler = Scheduler(
            "opus",
            home,
            tasks,
            store=Store(),
            clock=self.clock,
            workers=self.workers,
            rules=SchedulerOptions(grace=0.1),
        )
        self.path = socket_path(home)
        self.at = HomeSocket(self.path, "opus", home)
        self.server = Server(self.scheduler, self.path, home)
        self.visitors: list[Raw] = []

    async def slow(self, context: Any) -> str:
        await self.gate.wait()
        return "through"

    async def talk(self, context: Any) -> None:
        """Prints 30 MB a second, as long as the gate is closed."""
        run = current.get()
        assert run
        while not self.gate.is_set():
            run.output.write(b"x" * 60_000)
            await asyncio.sleep(0.002)

    async def tick(self, context: Any) -> str:
        return ""

    async def open(self) -> None:
        await self.scheduler.start()
        await self.server.open()

    async def close(self) -> None:
        for visitor in self.visitors:
            visitor.close()
        await self.scheduler.stop(0)
        await self.server.close()
        await self.workers.close()
        self.clock.close()

    def ticks(self) -> int:
        row = self.scheduler.snapshot().task("tick")
        assert row is not None
        return row.run_count


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In a folder of a short name: the path of a socket has at most 108 bytes."""
    home = tmp_path_factory.mktemp("s") / "opus"
    home.mkdir()
    return home


@pytest.fixture
async def owner(home: Path) -> AsyncIterator[Owner]:
    owner = Owner(home)
    await owner.open()
    yield owner
    await owner.close()


@pytest.fixture
async def remote(owner: Owner) -> AsyncIterator[RemoteControl]:
    control = RemoteControl(owner.at, owner.clock)
    await control.start()
    yield control
    await control.stop()


class Raw:
    """A client that sends whatever it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, owner: Owner) -> "Raw":
        client = cls(*await asyncio.open_unix_connection(str(owner.path), limit=messages.ANSWER_LIMIT))
        owner.visitors.append(client)
        hello = await client.line()
        assert hello["params"]["protocol"] == messages.PROTOCOL
        return client

    def ask(self, request_id: int, method: str, **params: Any) -> None:
        self.writer.write(messages.encode(id=request_id, method=method, params=params))

    async def line(self) -> Any:
        return json.loads(await self.reader.readline())

    async def rest(self) -> bytes:
        """Whatever comes until the owner hangs up."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    def close(self) -> None:
        self.writer.transport.abort()


async def goes_on(owner: Owner) -> None:
    """Its tasks run as if nothing had happened."""
    before = owner.ticks()
    await until(lambda: owner.ticks() > before + 3, "tasks go on")


async def test_the_socket_is_for_its_owner_alone_and_goes_with_it(owner):
    assert stat.S_IMODE(owner.path.stat().st_mode) == 0o600
    await owner.server.close()
    assert not owner.path.exists()


async def test_a_stale_socket_of_a_dead_owner_is_in_the_way_of_none(home):
    owner = Owner(home)
    owner.path.touch()
    await owner.open()
    (await Raw.connect(owner)).close()
    await owner.close()


def test_a_path_too_long_for_a_socket_is_put_into_the_runtime_folder(tmp_path):
    home = tmp_path / ("x" * 100) / "opus"
    home.mkdir(parents=True)
    path = socket_path(home)
    assert len(os.fsencode(path)) <= PATH_LIMIT and not path.is_relative_to(home)
    assert path == socket_path(home) != socket_path(home.parent)


async def test_changes_are_pushed_and_events_come_once_each(owner, remote):
    assert remote.snapshot().owner == f"attached, pid {os.getpid()}"
    await until(lambda: remote.snapshot().task("tick").run_count > 5, "runs are seen")
    sequence = [event.seq for event in remote.snapshot().events]
    assert sequence == sorted(set(sequence))
    assert remote.snapshot().task("slow").kind is TaskStatus.RUNNING


async def test_refusals_arrive_as_the_errors_that_they_are(owner, remote):
    with pytest.raises(AlreadyRunning, match="already running"):
        await remote.force("slow")
    with pytest.raises(UnknownTask, match="did you mean tick"):
        await remote.force("tikc")


async def test_an_owner_that_dies_is_gone_and_one_that_comes_back_is_found_again(home):
    first = Owner(home)
    await first.open()
    control = RemoteControl(first.at, first.clock)
    await control.start()
    await first.close()
    await until(lambda: OWNER_GONE in control.snapshot().stale, "it is said at once")
    with pytest.raises(Disconnected, match=OWNER_GONE):
        await control.force("tick")
    second = Owner(home)
    await second.open()
    await until(lambda: not control.snapshot().stale, "it is found again")
    assert (await control.reset("slow")).saved
    await control.stop()
    await second.close()


async def test_an_owner_that_stays_away_is_looked_for_less_and_less_often(owner, remote, monkeypatch):
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(
        "scheduler.control.wire.client.asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": noted})
    )
    await owner.server.close()
    await until(lambda: len(pauses) > 30, "it is looked for")
    assert 0.8 * RETRY <= pauses[0] <= 1.2 * RETRY
    assert all(0.8 * RETRY_MAX <= pause <= 1.2 * RETRY_MAX for pause in pauses[-10:])
    assert len(set(pauses[-10:])) > 1, "a thousand do not all come at once"


class LaterClock(SystemClock):
    """A clock that a test can put forward."""

    ahead = 0.0

    def elapsed(self) -> float:
        return super().elapsed() + self.ahead


async def test_a_silent_owner_is_pinged_by_each_client(owner):
    clock = LaterClock()
    control = RemoteControl(owner.at, clock)
    await control.start()
    clock.ahead += 60
    assert control.pulse().age == 0.0, "only now it is pinged"
    clock.ahead += 5
    assert control.pulse().age >= 5.0, "the loop had no turn for an answer"
    await until(lambda: control.pulse().age == 0.0, "the owner answers")
    await control.stop()
    clock.close()


JUNK = [
    b"\n",
    b"hello\n",
    b"{}\n",
    b"[1,2]\n",
    b'"x"\n',
    b"\xff\xfe\x00\n",
    b"[" * 5000 + b"\n",
    b'{"jsonrpc":"2.0","id":1,"method":"force"}\n',
    b'{"jsonrpc":"2.0","id":1,"method":"force","params":{"task":["x"]}}\n',
    b'{"jsonrpc":"2.0","id":1,"method":"__class__","params":{"task":"tick"}}\n',
    b'{"jsonrpc":"2.0","id":{},"method":"ping"}\n',
    b'{"jsonrpc":"2.0","id":1,"method":"force","params":{"task":"tick","rm":1}}\n',
]


async def test_junk_is_answered_and_soon_hung_up_on(owner):
    for junk in JUNK:
        client = await Raw.connect(owner)
        client.writer.write(junk)
        assert "error" in await client.line(), junk
        client.writer.write(junk * MISTAKES)
        assert await client.rest() is not None  # it ends
    await goes_on(owner)


async def test_a_line_without_end_is_not_collected(owner):
    client = await Raw.connect(owner)
    with pytest.raises(ConnectionError):
        for _ in range(2000):
            client.writer.write(b"x" * 50_000)
            await client.writer.drain()
    await goes_on(owner)
    client.close()


async def test_half_a_line_and_a_client_that_goes_in_the_middle_are_nothing(owner):
    client = await Raw.connect(owner)
    client.writer.write(b'{"jsonrpc":"2.0","id":1,"met')
    await client.writer.drain()
    client.close()
    await goes_on(owner)
    await until(lambda: not owner.server.clients, "it is let go")


async def test_a_reader_that_never_reads_skips_snapshots_and_holds_no_memory(owner, remote):
    stuck = await Raw.connect(owner)
    stuck.reader._limit = 1  # type: ignore[attr-defined]  # so that nothing is read ahead
    stuck.writer.write(messages.encode(id=1, method="watch"))
    await until(lambda: remote.snapshot().task("tick").run_count > 40, "others see every change")
    assert owner.server.clients == 2
    await goes_on(owner)
    stuck.close()


async def follow(owner: Owner, request_id: int, task: str = "talk") -> Raw:
    client = await Raw.connect(owner)
    client.ask(request_id, "follow", task=task)
    return client


async def test_a_reader_that_never_reads_what_is_printed_holds_no_other_up(owner):
    await owner.scheduler.force("talk")
    stuck = [await follow(owner, 1) for _ in range(3)]
    for client in stuck:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # so that nothing is read ahead
    reading, had, before = await follow(owner, 7), 0, owner.ticks()
    while had < 3_000_000:
        params = (await reading.line())["params"]
        assert params["id"] == 7
        had += len(params["value"]["text"]) + params["value"].get("skipped", 0)
    await until(lambda: owner.ticks() > before + 3, "tasks go on")
    owner.gate.set()


async def test_who_follows_is_answered_when_the_run_has_ended(owner):
    await owner.scheduler.force("talk")
    client = await follow(owner, 7)
    await client.line()
    owner.gate.set()
    while "method" in (message := await client.line()):
        assert message["method"] == "item"
    assert (message["id"], message["result"]) == (7, None)


async def test_a_client_has_so_many_requests_under_way_and_no_more(owner):
    tasks = len(asyncio.all_tasks())
    client = await Raw.connect(owner)
    for number in range(REQUESTS + 1):
        client.ask(number, "follow", task="slow")
    assert f"{REQUESTS} requests are under way already" in (await client.line())["error"]["message"]
    client.ask(99, "cancel", id=0)
    assert (await client.line()) == {"jsonrpc": "2.0", "id": 99, "result": None}
    owner.gate.set()
    ended = {(await client.line())["id"] for _ in range(REQUESTS - 1)}
    assert ended == set(range(1, REQUESTS)), "a cancelled request has no answer"
    client.close()
    await until(lambda: len(asyncio.all_tasks()) <= tasks, "nothing of it is left")


async def test_a_request_can_be_cancelled_and_wrong_ones_are_mistakes(owner):
    client = await Raw.connect(owner)
    client.ask(0, "follow", task="slow")
    client.ask(0, "follow", task="slow")
    assert "id 0 is in use" in (await client.line())["error"]["message"]
    client.ask(1, "cancel", id=0)
    assert (await client.line())["id"] == 1
    client.ask(0, "follow", task="solw")
    assert "did you mean slow" in (await client.line())["error"]["message"]
    for method, params in (
        ("follow", {"task": 7}),
        ("follow", {}),
        ("follow", {"task": "slow", "rm": 1}),
        ("cancel", {"id": []}),
    ):
        client.ask(5, method, **params)
        assert f"no method {method!r}" in (await client.line())["error"]["message"], params


async def test_there_is_room_for_many_clients_and_a_sentence_for_one_too_many(owner):
    clients = [await Raw.connect(owner) for _ in range(CLIENTS)]
    for client in clients:
        client.ask(1, "follow", task="slow")
        client.ask(2, "watch")
        await client.line()
    with pytest.raises(Disconnected, match=f"{CLIENTS} clients"):
        await Connection.open(owner.at)
    for client in clients:
        client.close()
    await until(lambda: not owner.server.clients, "all are let go")
    connection = await Connection.open(owner.at)
    connection.close()


async def test_of_good_requests_without_end_only_a_few_are_read(owner):
    client = await Raw.connect(owner)
    flood = messages.encode(id=1, method="ping") * 40_000
    client.writer.write(flood)
    await goes_on(owner)
    kernel = 1024 * 1024  # bytes that may wait in the socket itself
    read = len(flood) - client.writer.transport.get_write_buffer_size()
    assert read < 2 * messages.LINE_LIMIT + READ_SIZE + kernel


async def test_of_many_that_come_at_once_a_few_are_taken_in_a_turn_and_none_is_lost(owner):
    crowd = [socket.socket(socket.AF_UNIX) for _ in range(CLIENTS)]
    for each in crowd:
        each.connect(str(owner.path))  # they wait in the kernel: the loop has had no turn yet
    there = [0]
    while there[-1] < len(crowd):
        await asyncio.sleep(0)
        there.append(owner.server.clients)
    assert max(after - before for before, after in itertools.pairwise(there)) <= ACCEPTED
    for each in crowd:
        each.close()


async def test_another_version_of_the_protocol_is_a_sentence(home, monkeypatch):
    owner = Owner(home)
    other = SimpleNamespace(**{**vars(messages), "PROTOCOL": 1})
    monkeypatch.setattr("scheduler.control.wire.server.messages", other)
    await owner.open()
    with pytest.raises(Disconnected, match="speaks version 1 of the protocol, this is version 3"):
        await Connection.open(owner.at)
    await owner.close()


async def test_what_listens_there_may_be_something_else(tmp_path):
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\n")
        writer.close()

    path = tmp_path / "other.sock"
    server = await asyncio.start_unix_server(other, str(path))
    with pytest.raises(Disconnected):
        await Connection.open(HomeSocket(path, "opus", tmp_path))
    server.close()


async def test_who_stops_while_it_opens_leaves_no_socket(owner, home):
    path = shared_path(home)
    sharing = asyncio.create_task(owner.server.share(path, os.getgid()))
    await until(path.exists, "it is about to listen")
    sharing.cancel()
    await asyncio.wait({sharing})
    assert path.exists() is not sharing.cancelled()


async def test_a_member_of_the_group_steers_and_does_not_stop(owner, home, monkeypatch):
    home.chmod(0o755)
    monkeypatch.setattr(
        "scheduler.control.wire.server.peer_of", lambda connection: Peer(7, 12345, frozenset({os.getgid()}))
    )
    await owner.server.share(shared_path(home), os.getgid())
    connection = await Connection.open(HomeSocket(shared_path(home), "opus", home))
    assert (await connection.ask("reset", task="slow"))["text"] == "slow: reset"
    with pytest.raises(NotOurs, match="only the user who runs it may stop it"):
        await connection.ask("stop")
    connection.close()


async def test_a_stranger_is_not_let_in(owner, monkeypatch):
    monkeypatch.setattr(
        "scheduler.control.wire.server.peer_of", lambda connection: Peer(7, 12345, frozenset({12345}))
    )
    reader, writer = await asyncio.open_unix_connection(str(owner.path))
    assert await reader.read() == b""
    writer.close()
