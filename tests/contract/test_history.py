"""What a front end may ask of the past, whichever Control it has."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.config.loader import load
from scheduler.control.fleet import Fleet
from scheduler.control.offline import OfflineControl
from scheduler.control.session import force_and_wait
from scheduler.control.wire.server import Server
from scheduler.core.ports import FleetOptions
from scheduler.core.records import MOST_LISTED, RunRecord
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Snapshot, TaskStatus, TaskView
from scheduler.errors import Disconnected, UnknownRun, UnknownTask
from tests.contract.test_control import ACTING, ONLOOKER, acting, answering, on_demand
from tests.crash.loops import Place
from tests.fakes import FakeClock, FakeControl, until
from tui.demo.fleet import started

PRINTS = "echo first; echo fine"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    tasks = on_demand("quick", PRINTS), on_demand("bad", "echo refused; exit 1"), on_demand("never", "true")
    place.tasks(*tasks, more="[wake]\nenabled = false\n")
    return place


async def three_runs(place: Place) -> None:
    """quick, bad, quick; a reader comes later."""
    fleet = Fleet(FleetOptions(config=place.config, only=("opus",), wakes=False))
    await fleet.start(dispatch=False)
    (scheduler,) = fleet.schedulers()
    for name in ("quick", "bad", "quick"):
        await force_and_wait(scheduler, name)
    await fleet.stop(0)


def a_run(number: int, task: str, outcome: Outcome, text: str) -> RunRecord:
    return RunRecord(number, task, 1.0, 2.0, 1.0, outcome, Trigger.FORCE, 1, text, printed=True)


def faked() -> FakeControl:
    names = ("quick", "bad", "never")
    control = FakeControl(Snapshot("opus", tuple(TaskView(name, TaskStatus.OK, "5m") for name in names)))
    fine = [a_run(number, "quick", Outcome.OK, "fine") for number in (1, 3)]
    control.runs = (*fine, a_run(2, "bad", Outcome.FAILED, "exit 1: refused"))
    control.outputs = {1: "first\nfine\n", 2: "refused\n", 3: "first\nfine\n"}
    return control


@pytest.fixture(params=[*ACTING, ONLOOKER, "fake"])
async def control(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Any]:
    if request.param == "fake":
        yield faked()
        return
    await three_runs(place)
    async with answering(request.param, place) as control:
        yield control


async def test_the_newest_runs_come_first(control):
    runs = await control.history()
    assert [(run.id, run.task) for run in runs] == [(3, "quick"), (2, "bad"), (1, "quick")]
    assert [run.outcome for run in runs] == [Outcome.OK, Outcome.FAILED, Outcome.OK]
    assert [run.text for run in runs] == ["fine", "exit 1: refused", "fine"]
    assert {(run.trigger, run.attempt, run.printed) for run in runs} == {(Trigger.FORCE, 1, True)}
    assert all(run.started <= run.finished and run.seconds > 0 for run in runs)


async def test_of_one_task_so_many_before_a_run_or_only_failures(control):
    async def ids(*task: str, **more: Any) -> list[int]:
        return [run.id for run in await control.history(*task, **more)]

    assert await ids("quick") == [3, 1]
    assert await ids(limit=2) == [3, 2]
    assert await ids(before=3) == [2, 1]
    assert await ids("quick", before=3, limit=5) == [1]
    assert await ids(failed=True) == [2]
    assert await ids("quick", failed=True) == await ids("never") == []


async def test_what_a_run_printed_can_be_asked_for(control):
    assert await control.output(2) == "refused\n"
    assert await control.output(3) == "first\nfine\n"


async def test_unknown_runs_and_tasks_are_the_same_errors_everywhere(control):
    with pytest.raises(UnknownRun, match="run 4 is not in the history: it never existed or is too old"):
        await control.output(4)
    with pytest.raises(UnknownTask, match=r"unknown task 'quikc': did you mean quick\?"):
        await control.history("quikc")


async def test_no_answer_is_longer_than_a_screen_can_use(control):
    assert len(await control.history(limit=10**9)) == 3
    assert MOST_LISTED < 10**9


@pytest.mark.parametrize("kind", ACTING)
async def test_a_run_that_has_just_been_shown_is_in_the_history(place, kind):
    async with acting(kind, place) as bench:
        await bench.see()
        for number in range(1, 4):
            await bench.control.force("quick")
            await bench.until_task("quick", lambda task, n=number: task.run_count == n, "it is shown")
            assert len(await bench.control.history("quick")) == number


async def test_an_onlooker_sees_what_the_owner_writes_meanwhile(place):
    owner = Fleet(FleetOptions(config=place.config, only=("opus",)))
    await owner.start()
    (scheduler,) = owner.schedulers()
    (settings,) = load(config=place.config).citizens
    onlooker = OfflineControl(settings, owner.clock, Disconnected("not run here"))
    await force_and_wait(scheduler, "quick")
    assert len(await scheduler.history()) == 1
    assert await onlooker.history() == await scheduler.history()
    await owner.stop(0)


# ------------------------------------------------------------------ the demo


async def test_the_demo_has_a_past_and_it_goes_on():
    clock = FakeClock()
    (control,) = await started(["opus"], clock, 0.0)
    before = await control.history(limit=200)
    assert len(before) == MOST_LISTED and before == await control.history(limit=200)
    assert all(run.finished <= clock.now() for run in before)
    failures = await control.history("news_scan", failed=True)
    assert failures[0].text.startswith("Connection timeout")
    assert "of 458 GB" in await control.output((await control.history("heartbeat"))[0].id)
    await clock.advance(hours=1)
    newest = (await control.history())[0]
    assert newest.id > before[0].id and await control.output(newest.id)
    with pytest.raises(UnknownRun):
        await control.output(999_999)
    with pytest.raises(UnknownTask):
        await control.history("hearbeat")


# ------------------------------------------------------------------ the socket


class Past:
    """A scheduler that counts who looks at its past at the same time."""

    citizen = "opus"

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.inside = self.most = 0

    async def history(self, task: Any = None, **more: Any) -> tuple[RunRecord, ...]:
        self.asked.append((task, more))
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(0.005)
        self.inside -= 1
        return ()

    async def output(self, run: int) -> str:
        self.asked.append(run)
        return "printed"


@pytest.fixture
async def past(tmp_path: Path) -> AsyncIterator[tuple[Past, Path]]:
    past, path = Past(), tmp_path / "s" / "control.sock"
    server = Server(past, path, path.parent)
    await server.open()
    yield past, path
    await server.close()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def at(cls, path: Path) -> "Client":
        client = cls(*await asyncio.open_unix_connection(str(path)))
        await client.reader.readline()
        return client

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self.writer.write(json.dumps(message).encode() + b"\n")
        return json.loads(await self.reader.readline())


async def test_the_socket_takes_only_what_makes_sense(past):
    scheduler, path = past
    client = await Client.at(path)
    wrong = [
        ("history", {"task": 7}),
        ("history", {"limit": "many"}),
        ("history", {"limit": True}),
        ("history", {"before": -1}),
        ("history", {"what": 1}),
        ("output", {"run": 2**70}),
        ("output", {}),
    ]
    for method, params in wrong:
        answer = await client.ask(method, **params)
        assert answer["error"]["code"] == -32602, (method, params)
    assert scheduler.asked == []
    assert (await client.ask("output", run=5))["result"] == "printed"
    assert (await client.ask("history"))["result"] == []
    assert scheduler.asked[1] == (None, {})
    client.writer.transport.abort()


async def test_ten_clients_look_at_the_past_one_after_the_other(past):
    scheduler, path = past
    clients = [await Client.at(path) for _ in range(10)]
    await asyncio.gather(*(client.ask("history") for client in clients))
    assert (len(scheduler.asked), scheduler.most) == (10, 1)
    for client in clients:
        client.writer.transport.abort()
    await until(lambda: scheduler.inside == 0, "all have left")
