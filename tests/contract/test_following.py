"""What a front end sees of a run under way, whichever Control it has."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from scheduler.control.fleet import Fleet
from scheduler.core.ports import FleetOptions
from scheduler.core.views import OutputChunk, Snapshot, TaskStatus, TaskView
from scheduler.errors import Disconnected, Owned, SchedulerError, Stopping, UnknownTask
from scheduler.executors.output import KEEP
from scheduler.storage.lock import owning
from tests.contract.test_control import ACTING, Bench, acting, on_demand
from tests.crash.loops import Place
from tests.fakes import FakeControl, until
from tui.demo.fleet import FastClock, started

STEPS = "for i in 1 2 3; do echo step $i; while [ ! -e go$i ]; do sleep 0.01; done; done; echo last"
X3000000 = "head -c 3000000 /dev/zero | tr '\\0' x; echo"
FLOOD = f"{X3000000}; echo middle; while [ ! -e go ]; do sleep 0.01; done; echo last"
HALVES = "printf 'caf\\303'; while [ ! -e go ]; do sleep 0.01; done; printf '\\251, \\377 and \\303'"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.tasks(
        on_demand("steps", STEPS),
        on_demand("flood", FLOOD),
        on_demand("halves", HALVES),
        on_demand("silent", "while [ ! -e go ]; do sleep 0.01; done"),
        on_demand("quick", "echo fine"),
        more='grace = "0.1s"\nworkers = 2\n[wake]\nevery = "23h"\n',
    )
    (place.home / "metadata.json").write_text('{"last_wake": "2999-01-01T00:00:00+00:00", "wake_count": 4}')
    return place


@pytest.fixture(params=ACTING)
async def bench(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Bench]:
    async with acting(request.param, place) as bench:
        yield bench
        for name in ("go", "go1", "go2", "go3"):
            (place.home / name).touch()


class Follower:
    """A reader of what a run prints."""

    def __init__(self, control: Any, task: str) -> None:
        self.pieces: list[OutputChunk] = []
        self.reading = asyncio.create_task(self._read(control, task))

    async def _read(self, control: Any, task: str) -> None:
        async with aclosing(control.follow(task)) as pieces:
            async for piece in pieces:
                self.pieces.append(piece)

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    async def until(self, text: str) -> None:
        await until(lambda: self.text == text, f"{text!r} is read")

    async def ended(self) -> str:
        await asyncio.wait_for(self.reading, 20)
        return self.text


async def test_what_is_printed_comes_as_it_is_and_ends_with_the_run(bench):
    await bench.control.force("steps")
    follower = Follower(bench.control, "steps")
    await follower.until("step 1\n")
    (bench.place.home / "go1").touch()
    await follower.until("step 1\nstep 2\n")
    for name in ("go2", "go3"):
        (bench.place.home / name).touch()
    assert await follower.ended() == "step 1\nstep 2\nstep 3\nlast\n"
    assert not any(piece.skipped for piece in follower.pieces)


async def test_who_comes_late_gets_at_once_what_was_there(bench):
    await bench.control.force("steps")
    first = Follower(bench.control, "steps")
    (bench.place.home / "go1").touch()
    await first.until("step 1\nstep 2\n")
    second = Follower(bench.control, "steps")
    await second.until("step 1\nstep 2\n")
    for name in ("go2", "go3"):
        (bench.place.home / name).touch()
    assert await first.ended() == await second.ended() == "step 1\nstep 2\nstep 3\nlast\n"


async def test_of_much_the_two_ends_come_and_what_is_between_is_counted(bench):
    await bench.see()
    await bench.control.force("flood")
    (bench.place.home / "go").touch()
    await bench.until_task("flood", lambda task: task.run_count == 1, "it has run")
    (bench.place.home / "go").unlink()
    await bench.control.force("flood")
    await asyncio.sleep(0.3)  # a late reader has missed the middle
    follower = Follower(bench.control, "flood")
    (bench.place.home / "go").touch()
    text = await follower.ended()
    assert text.startswith("x" * KEEP) and text.endswith("x\nmiddle\nlast\n")
    assert len(text) + sum(piece.skipped for piece in follower.pieces) == 3_000_001 + len("middle\nlast\n")
    assert max(len(piece.text) for piece in follower.pieces) <= 2 * KEEP


async def test_a_character_in_two_halves_is_one(bench):
    await bench.control.force("halves")
    follower = Follower(bench.control, "halves")
    await follower.until("caf")
    (bench.place.home / "go").touch()
    assert await follower.ended() == "café, \ufffd and \ufffd"


async def test_without_a_run_it_ends_at_once_and_an_unknown_task_is_an_error(bench):
    assert await Follower(bench.control, "quick").ended() == ""
    with pytest.raises(UnknownTask, match=r"unknown task 'quikc': did you mean quick\?"):
        await Follower(bench.control, "quikc").ended()


async def test_a_run_that_is_queued_is_waited_for(bench):
    await bench.see()
    for task in ("silent", "halves"):
        await bench.control.force(task)
    await bench.control.force("steps")
    await bench.until_task("steps", lambda task: task.queued, "all workers are busy")
    follower = Follower(bench.control, "steps")
    for name in ("go", "go1", "go2", "go3"):
        (bench.place.home / name).touch()
    assert await follower.ended() == "step 1\nstep 2\nstep 3\nlast\n"


async def test_who_leaves_early_leaves_nothing_behind(bench):
    await bench.control.force("steps")
    for _ in range(20):  # more than one client may follow at a time
        async with aclosing(bench.control.follow("steps")) as pieces:
            assert (await anext(pieces)).text == "step 1\n"
    asking = asyncio.ensure_future(anext(bench.control.follow("silent"), None))
    assert await asking is None
    assert (await bench.control.pause("quick")).saved


async def test_a_silent_run_that_is_stopped_ends_what_is_followed(bench):
    await bench.see()
    await bench.control.force("silent")
    follower = Follower(bench.control, "silent")
    await bench.until_task("silent", lambda task: task.kind is TaskStatus.RUNNING, "it runs")
    await bench.end()
    try:
        assert await follower.ended() == ""
    except SchedulerError as error:
        assert isinstance(error, Stopping | Disconnected)


async def test_a_run_that_stays_queued_ends_with_its_scheduler(bench):
    await bench.see()
    for task in ("silent", "halves", "steps"):
        await bench.control.force(task)
    await bench.until_task("steps", lambda task: task.queued, "all workers are busy")
    follower = Follower(bench.control, "steps")
    await asyncio.sleep(0)
    await bench.end()
    try:
        assert await follower.ended() == ""
    except SchedulerError as error:
        assert isinstance(error, Stopping | Disconnected)


async def test_handlers_of_this_process_are_followed_too(place, monkeypatch):
    (place.root / "talking.py").write_text(
        "import time\n"
        "def run(context):\n"
        "    print('from a thread')\n"
        "    while not (context.home / 'go').exists(): time.sleep(0.01)\n"
    )
    monkeypatch.syspath_prepend(str(place.root))
    from scheduler.executors.stdout_capture import capture_prints

    never = json.dumps("59 23 31 12 *")
    place.tasks(f'talk\ncron = {never}\nhandler = "talking:run"')
    with capture_prints():
        async with acting("remote", place) as bench:
            await bench.control.force("talk")
            follower = Follower(bench.control, "talk")
            await follower.until("from a thread\n")
            (place.home / "go").touch()
            assert await follower.ended() == "from a thread\n"


# ------------------------------------------------------------------ those that only look, or pretend


async def test_an_onlooker_learns_who_owns_the_citizen(place):
    with owning(place.home, 5.0):
        fleet = Fleet(FleetOptions(config=place.config, only=("opus",), own=False))
        await fleet.start()
        (onlooker,) = fleet.view().controls
        with pytest.raises(Owned, match=f"opus is owned by pid {os.getpid()}"):
            await anext(onlooker.follow("quick"))
        await fleet.stop()


async def test_a_fake_prints_what_a_test_tells_it_to():
    control = FakeControl(Snapshot("opus", (TaskView("quick", TaskStatus.RUNNING, "5m"),)))
    follower = Follower(control, "quick")
    assert await follower.ended() == ""
    control.prints("quick", "one\n")
    follower = Follower(control, "quick")
    await follower.until("one\n")
    control.prints("quick", "three\n", skipped=4)
    control.ends("quick")
    assert await follower.ended() == "one\nthree\n"
    assert follower.pieces[-1] == OutputChunk("three\n", 4)


async def test_the_demo_makes_up_what_its_runs_print():
    (control,) = await started(["hazel"], FastClock(2000), 0.0)
    with pytest.raises(UnknownTask):
        await anext(control.follow("quikc"))
    await control.force("news_scan")
    text = await Follower(control, "news_scan").ended()
    assert "4 feeds" in text and text.count("\n") == 6
    await control.stop(0)
