"""Everything a front end relies on, whichever Control it has: one suite for all of them."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import types
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import scheduler.control.fleet
from scheduler.control.fleet import Fleet
from scheduler.control.offline import OfflineControl
from scheduler.control.session import force_and_wait, outcome_of
from scheduler.control.threaded import FleetThread, ThreadedControl
from scheduler.control.wire.client import RemoteControl
from scheduler.core.ports import FleetOptions
from scheduler.core.schedules.forecast import TimeGrid
from scheduler.core.task import Outcome
from scheduler.core.views import OWNER_GONE, OutputChunk, Snapshot, TaskStatus
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import (
    PROGRAM,
    AlreadyRunning,
    Disconnected,
    Frozen,
    Managed,
    NotRunning,
    NotSetUp,
    Owned,
    SchedulerError,
    Stopping,
    UnknownCitizen,
    UnknownTask,
)
from scheduler.process.who import this_process
from scheduler.storage.lock import Unit, mark
from tests.crash.loops import Place, command, everything_in
from tests.each import each
from tests.fakes import until

NEVER = "59 23 31 12 *"
UNTIL_DONE = "while [ ! -e done ]; do sleep 0.02; done; echo done"
ACTING = ["scheduler", "threaded", "remote"]
ONLOOKER = "onlooker"


def on_demand(name: str, script: str) -> str:
    """A task that runs when it is asked to."""
    return f"{name}\ncron = {json.dumps(NEVER)}\ncommand = {json.dumps(['sh', '-c', script])}"


class Bench:
    """A control, and what a test needs beside it."""

    def __init__(self, place: Place, control: Any, end: Callable[[], Any]) -> None:
        self.place, self.control, self.end = place, control, end
        self.seen: list[Snapshot] = []
        self._watching: asyncio.Task[None] | None = None

    async def see(self) -> None:
        """Follow the control from now on."""
        self._watching = asyncio.create_task(self._watch())
        await until(lambda: self.seen, "the first snapshot comes at once")

    async def _watch(self) -> None:
        async for snapshot in self.control.watch():
            self.seen.append(snapshot)

    async def blind(self) -> None:
        if self._watching:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching

    def task(self, name: str) -> Any:
        return self.seen[-1].task(name)

    async def until_task(self, name: str, holds: Callable[[Any], object], words: str) -> None:
        await until(lambda: holds(self.task(name)), words)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr("scheduler.control.following.regular_checks.CHECK_EVERY", 0.1)
    for module in ("displaced", "settings_watch"):
        monkeypatch.setattr(f"scheduler.control.following.{module}.TAKEN_AWAY", 0.5)
    place = Place(tmp_path)
    place.tasks(
        on_demand("quick", "echo fine"),
        on_demand("gate", UNTIL_DONE),
        on_demand("bad", "echo refused; exit 1"),
        f"unset\ncron = {json.dumps(NEVER)}",
        more='grace = "0.1s"\n[wake]\nevery = "23h"\n',
    )
    (place.home / "metadata.json").write_text('{"last_wake": "2999-01-01T00:00:00+00:00", "wake_count": 4}')
    return place


@contextlib.asynccontextmanager
async def acting(kind: str, place: Place) -> AsyncIterator[Bench]:
    options = FleetOptions(config=place.config, only=("opus",))
    ways = {"scheduler": on_this_loop, "threaded": on_a_thread, "remote": through_the_socket}
    async with ways[kind](options, place) as bench:
        try:
            yield bench
        finally:
            await bench.blind()
            (place.home / "done").touch()


@contextlib.asynccontextmanager
async def answering(kind: str, place: Place) -> AsyncIterator[Any]:
    """The control of an owner, or of who only reads its files."""
    if kind != ONLOOKER:
        async with acting(kind, place) as bench:
            yield bench.control
        return
    fleet = Fleet(FleetOptions(config=place.config, only=("opus",), own=False))
    await fleet.start()
    (onlooker,) = fleet.view().controls
    assert isinstance(onlooker, OfflineControl)
    yield onlooker
    await fleet.stop()


@contextlib.asynccontextmanager
async def on_this_loop(options: FleetOptions, place: Place) -> AsyncIterator[Bench]:
    fleet = Fleet(options)
    await fleet.start()
    try:
        yield Bench(place, fleet.view().controls[0], fleet.stop)
    finally:
        await fleet.stop(0)


@contextlib.asynccontextmanager
async def through_the_socket(options: FleetOptions, place: Place) -> AsyncIterator[Bench]:
    async with on_this_loop(options, place) as owner:
        fleet = Fleet(replace(options, own=False))
        await fleet.start()
        control = fleet.view().controls[0]
        assert isinstance(control, RemoteControl)
        try:
            yield Bench(place, control, owner.end)
        finally:
            await fleet.stop(0)


@contextlib.asynccontextmanager
async def on_a_thread(options: FleetOptions, place: Place) -> AsyncIterator[Bench]:
    thread = FleetThread(options, lambda *home: None)
    views = thread.watch()
    async for view in views:
        if view.controls and not view.loading:
            break
    await views.aclose()
    try:
        yield Bench(place, view.controls[0], lambda: asyncio.to_thread(thread.stop))
    finally:
        await asyncio.to_thread(thread.stop)


@pytest.fixture(params=ACTING)
async def bench(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Bench]:
    async with acting(request.param, place) as bench:
        yield bench


# ------------------------------------------------------------------ watching


async def test_the_whole_citizen_comes_at_once(bench):
    await bench.see()
    first = bench.seen[0]
    owner = f"attached, pid {os.getpid()}" if isinstance(bench.control, RemoteControl) else "here"
    assert (first.citizen, first.owner, first.home) == ("opus", owner, str(bench.place.home))
    assert {"quick", "gate", "bad", "unset", "heartbeat"} <= {task.name for task in first.tasks}
    assert first.task("quick").kind is TaskStatus.NEVER and first.task("unset").kind is TaskStatus.NOT_SET_UP
    assert first.wake.count == 4
    assert bench.control.citizen == "opus"


async def test_after_each_change_the_newest_snapshot_comes(bench):
    await bench.see()
    await bench.control.force("quick")
    await bench.until_task("quick", lambda task: task.kind is TaskStatus.OK, "the run is shown")
    assert bench.task("quick").run_count == 1
    assert [event.kind for event in bench.seen[-1].events if event.task == "quick"] == ["started", "finished"]


async def test_all_who_watch_see_a_change(bench):
    other = Bench(bench.place, bench.control, bench.end)
    await bench.see()
    await other.see()
    await bench.control.pause("quick")
    for one in (bench, other):
        await one.until_task("quick", lambda task: task.kind is TaskStatus.PAUSED, "both see it")
    await other.blind()


async def test_a_slow_watcher_skips_what_is_old(bench):
    watching = bench.control.watch()
    await anext(watching)
    for _ in range(5):
        await bench.control.pause("quick")
        await bench.control.resume("quick")
    await bench.control.pause("quick")
    snapshots = []
    while not (snapshots and snapshots[-1].task("quick").kind is TaskStatus.PAUSED):
        snapshots.append(await anext(watching))
    assert len(snapshots) <= 6
    await watching.aclose()


async def test_events_have_rising_numbers(bench):
    await bench.see()
    for _ in range(3):
        await bench.control.reset("quick")
    await until(lambda: len(bench.seen[-1].events) >= 3, "the events come")
    numbers = [event.seq for event in bench.seen[-1].events]
    assert numbers == sorted(set(numbers))


async def test_a_scheduler_that_turns_has_a_young_pulse(bench):
    assert bench.control.pulse().age < 5
    assert bench.control.pulse().culprit == ""


# ------------------------------------------------------------------ verbs


@pytest.mark.parametrize("verb", ["force", "reset", "pause", "resume"])
async def test_a_verb_returns_when_its_change_is_saved_and_visible(bench, verb):
    await bench.see()
    receipt = await getattr(bench.control, verb)("gate")
    assert receipt.saved
    entry = bench.place.entry("gate")
    said = {
        "force": entry["running"],
        "reset": entry["due_now"] or entry["running"],
        "pause": entry["paused"],
        "resume": True,
    }
    assert said[verb]
    shown = {
        "force": TaskStatus.RUNNING,
        "reset": TaskStatus.RUNNING,
        "pause": TaskStatus.PAUSED,
        "resume": TaskStatus.NEVER,
    }
    await bench.until_task("gate", lambda task: task.kind is shown[verb], "it is visible")


async def test_who_asked_is_in_the_events_and_in_the_history(bench):
    await bench.see()
    await bench.control.pause("quick")
    receipt = await bench.control.force("quick")
    await bench.control.wait("quick", receipt.run)
    (run,) = await bench.control.history("quick")
    assert run.who == this_process() and run.who.pid == os.getpid()

    def own() -> set[Any]:
        return {(event.kind, event.who) for event in bench.seen[-1].events if event.task == "quick"}

    await until(lambda: len(own()) == 3, "all of them are seen")
    assert own() == {(kind, this_process()) for kind in ("paused", "started", "finished")}


@each("verb", ["force", "reset", "pause", "resume", "stop_run"])
async def test_an_unknown_task_is_the_same_error_everywhere(bench, verb):
    with pytest.raises(UnknownTask, match=r"unknown task 'quikc': did you mean quick\?"):
        await getattr(bench.control, verb)("quikc")


async def test_what_may_not_be_lifted_is_the_same_error_everywhere(bench):
    with pytest.raises(SchedulerError, match=r"nothing limits .* there is nothing to lift"):
        await bench.control.add_to_budget("2")
    assert (await bench.control.try_provider("anthropic")).text.startswith("anthropic: the next run")


async def test_a_task_that_runs_is_not_started_twice(bench):
    await bench.see()
    await bench.control.force("gate")
    with pytest.raises(AlreadyRunning, match="gate is already running"):
        await bench.control.force("gate")


async def test_again_runs_it_once_more_and_ten_are_one(bench):
    await bench.see()
    await bench.control.force("gate")
    await asyncio.gather(*(bench.control.force("gate", again=True) for _ in range(10)))
    (bench.place.home / "done").touch()
    await bench.until_task("gate", lambda task: task.run_count == 2, "it has run once more")
    await bench.control.force("quick")
    await bench.until_task("quick", lambda task: task.run_count == 1, "others run")
    assert bench.task("gate").run_count == 2


async def test_ten_forces_at_once_are_one_run(bench):
    await bench.see()
    answers = await asyncio.gather(*(bench.control.force("gate") for _ in range(10)), return_exceptions=True)
    assert [type(each).__name__ for each in answers].count("AlreadyRunning") == 9
    (bench.place.home / "done").touch()
    await bench.until_task("gate", lambda task: task.kind is TaskStatus.OK, "it has run")
    assert bench.task("gate").run_count == 1


async def test_a_stopped_run_is_shown_recorded_and_no_failure(bench):
    await bench.see()
    await bench.control.force("gate")
    receipt = await bench.control.stop_run("gate")
    row = await bench.control.wait("gate", receipt.run)
    said = f"stopped by {this_process()}"
    assert (row.kind, row.outcome, row.text) == (TaskStatus.STOPPED, Outcome.STOPPED, said)
    (run,) = await bench.control.history("gate")
    assert (run.outcome, run.text, run.stopped_by) == (Outcome.STOPPED, said, this_process())
    assert await bench.control.history("gate", failed=True) == ()
    await until(lambda: bench.place.entry("gate").get("outcome") == "stopped", "it is saved")
    assert bench.place.states()["errors"] == {}
    with pytest.raises(NotRunning, match="gate is not running"):
        await bench.control.stop_run("gate")


async def test_a_failure_is_shown_and_a_reset_clears_it(bench):
    await bench.see()
    await bench.control.force("bad")
    await bench.until_task("bad", lambda task: task.kind is TaskStatus.FAILED, "the failure is shown")
    assert bench.task("bad").error.text == "exit 1: refused"
    assert bench.seen[-1].events[-1].outcome is Outcome.FAILED
    await bench.control.pause("bad")
    await bench.control.reset("bad")
    await bench.until_task("bad", lambda task: task.error is None, "it is cleared")
    await until(lambda: bench.place.states()["errors"] == {}, "that is saved")


async def test_a_task_that_lacks_settings_says_which(bench):
    with pytest.raises(NotSetUp, match=r"unset is not set up: it needs "):
        await bench.control.force("unset")


async def test_a_paused_task_can_be_forced_and_stays_paused(bench):
    await bench.see()
    await bench.control.pause("quick")
    await bench.control.force("quick")
    await bench.until_task("quick", lambda task: task.run_count == 1, "it ran")
    assert bench.task("quick").kind is TaskStatus.PAUSED


async def test_a_frozen_citizen_starts_nothing_until_it_is_thawed(bench):
    await bench.see()
    receipt = await bench.control.freeze(why="invoices")
    assert receipt.saved and ": invoices" in receipt.text
    await until(lambda: bench.seen[-1].freeze, "the freeze is shown")
    assert bench.seen[-1].freeze.why == "invoices" and bench.seen[-1].freeze.by
    for verb in (bench.control.force("quick"), bench.control.wake()):
        with pytest.raises(Frozen, match=f"thaw it first: {PROGRAM} thaw opus"):
            await verb
    assert await bench.control.slots(["quick"], TimeGrid(time.time(), 3600.0, 24)) == {"quick": ()}
    await bench.control.thaw()
    await until(lambda: bench.seen[-1].freeze is None, "the thaw is shown")
    await bench.control.force("quick")
    await bench.until_task("quick", lambda task: task.run_count == 1, "it runs")


async def test_a_wake_by_hand_is_counted(bench):
    await bench.see()
    await bench.control.wake()
    await until(lambda: bench.seen[-1].wake.count == 5, "the wake is over")
    await until(lambda: bench.seen[-1].wake.running_since is None, "and shown so")
    assert json.loads((bench.place.home / "metadata.json").read_text())["wake_count"] == 5


def put_a_folder_in_the_way(path: Path) -> None:
    """A save under way may write the file once more between the two steps."""
    while not path.is_dir():
        path.unlink(missing_ok=True)
        with suppress(FileExistsError):
            path.mkdir()


async def test_what_cannot_be_saved_is_done_and_said(bench):
    await bench.see()
    put_a_folder_in_the_way(bench.place.home / "background_tasks.json")
    receipt = await bench.control.pause("quick")
    assert not receipt.saved and "quick: paused; done, not saved: " in receipt.text
    await until(lambda: bench.seen[-1].unsaved, "the screen says so")
    await bench.until_task("quick", lambda task: task.kind is TaskStatus.PAUSED, "it is done all the same")
    (bench.place.home / "background_tasks.json").rmdir()
    await until(lambda: not bench.seen[-1].unsaved, "it was tried again")
    assert bench.place.entry("quick")["paused"] is True


async def test_a_change_by_hand_is_shown(bench):
    await bench.see()
    await bench.control.reset("unset")
    states = bench.place.states()
    states["run_counts"]["quick"] = 77
    (bench.place.home / "background_tasks.json").write_text(json.dumps(states))
    await bench.until_task("quick", lambda task: task.run_count == 77, "it is taken up")


async def test_after_the_end_every_verb_says_that_it_is_shutting_down(bench):
    await bench.see()
    await bench.control.force("gate")
    await bench.end()
    for ask in (
        lambda: bench.control.force("quick"),
        lambda: bench.control.reset("quick"),
        lambda: bench.control.pause("quick"),
        lambda: bench.control.resume("quick"),
        lambda: bench.control.wake(),
    ):
        gone = rf"opus(: {OWNER_GONE}: process [0-9]+ ended| is shutting down)"
        with pytest.raises((Stopping, Disconnected), match=gone):
            await ask()
    assert bench.place.entry("gate")["outcome"] == "interrupted"
    assert bench.place.entry("gate")["due_now"] is True


# ------------------------------------------------------------------ waiting for a forced run


@pytest.fixture(params=["scheduler", "remote"])
async def here(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Bench]:
    """The controls that a command line has."""
    async with acting(request.param, place) as bench:
        yield bench


async def test_the_run_that_was_forced_is_the_one_that_is_waited_for(here):
    assert outcome_of(await force_and_wait(here.control, "quick")) == "quick: ok: fine"
    assert outcome_of(await force_and_wait(here.control, "bad")) == "bad: failed: exit 1: refused"
    await here.control.force("gate")
    waiting = asyncio.create_task(force_and_wait(here.control, "gate", again=True))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    (here.place.home / "done").touch()
    ended = await waiting
    assert (ended.run_count, outcome_of(ended)) == (2, "gate: ok: done")


async def test_what_a_run_prints_is_shown_however_quick_it_is(here):
    shown: list[str] = []

    async def show(chunk: OutputChunk) -> None:
        shown.append(chunk.text)

    for _ in range(3):
        await force_and_wait(here.control, "quick", on_output=show)
    assert "".join(shown) == "fine\n" * 3


async def test_a_wait_for_a_run_that_will_not_come_ends(here):
    names = [f"wait{number}" for number in range(4)]
    slow = [on_demand(name, UNTIL_DONE) for name in names]
    here.place.tasks(*slow, on_demand("quick", "echo fine"), more='grace = "0.1s"\n')
    await here.see()
    await until(lambda: here.task(names[-1]), "the settings are applied")
    for name in names:
        await here.control.force(name)
    waiting = asyncio.create_task(force_and_wait(here.control, "quick"))
    await here.until_task("quick", lambda task: task.queued, "all workers are busy")
    here.place.tasks(*slow, more='grace = "0.1s"\n')
    with pytest.raises(SchedulerError, match="quick: the run was taken out of the queue"):
        await waiting
    with pytest.raises(UnknownTask):
        await force_and_wait(here.control, "quikc")


async def test_a_wait_ends_with_the_owner(here):
    waiting = asyncio.create_task(force_and_wait(here.control, "gate"))
    await here.see()
    await here.until_task("gate", lambda task: task.running_since, "it runs")
    await here.end()
    try:
        assert "interrupted" in outcome_of(await waiting)
    except Disconnected as error:
        assert "is gone" in str(error)


# ------------------------------------------------------------------ only looking


@pytest.fixture
def owner(place: Place) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process, which owns the citizen."""
    script = (
        "import sys; from pathlib import Path; from scheduler.storage.lock import acquire\n"
        "kept = acquire(Path(sys.argv[1]), 5.0); print('mine', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", script, str(place.home)]
    root = Path(__file__).parents[2]
    owner = subprocess.Popen(argv, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert owner.stdout.readline() == b"mine\n"
        yield owner
    finally:
        owner.communicate(timeout=10)


@pytest.fixture
async def onlooker(place: Place, owner: "subprocess.Popen[bytes]") -> AsyncIterator[Bench]:
    async with on_this_loop(FleetOptions(config=place.config, only=("opus",)), place) as bench:
        yield bench
        await bench.blind()


async def test_an_onlooker_shows_the_citizen_and_who_owns_it(onlooker, owner):
    await onlooker.see()
    first = onlooker.seen[0]
    assert (first.citizen, first.owner) == ("opus", f"pid {owner.pid}")
    assert first.task("quick").kind is TaskStatus.NEVER
    assert first.wake.count == 4


async def test_an_onlooker_refuses_every_verb_and_names_the_owner(onlooker, owner):
    control = onlooker.control
    for ask in (
        control.force("quick"),
        control.reset("quick"),
        control.pause("quick"),
        control.resume("quick"),
        control.wake(),
    ):
        with pytest.raises(Owned, match=f"opus is owned by pid {owner.pid}"):
            await ask


async def test_an_onlooker_follows_what_the_owner_saves_and_writes_nothing(onlooker):
    await onlooker.see()
    (onlooker.place.home / "background_tasks.json").write_text('{"run_counts": {"quick": 9}}')
    before = everything_in(onlooker.place.root)
    await onlooker.until_task("quick", lambda task: task.run_count == 9, "the owner's save is shown")
    assert everything_in(onlooker.place.root) == before


async def test_an_onlooker_is_the_same_across_threads(onlooker):
    control = ThreadedControl(onlooker.control, asyncio.get_running_loop(), onlooker.control.pulse)
    with pytest.raises(SchedulerError, match="is owned by pid"):
        await control.force("quick")
    assert isinstance(onlooker.control, OfflineControl)
    watching = control.watch()
    assert (await anext(watching)).citizen == "opus"
    await watching.aclose()


# ------------------------------------------------------------------ the thread itself


async def test_a_thread_without_a_watcher_ends_at_once(place):
    thread = FleetThread(FleetOptions(config=place.config, only=("opus",)), lambda *home: None)
    await asyncio.to_thread(thread.stop)


async def test_a_thread_that_is_stopped_before_it_has_a_loop_ends(place, monkeypatch):
    imported = threading.Event()

    class Late(types.ModuleType):
        def __getattr__(self, name: str) -> object:
            imported.wait(5)
            return getattr(scheduler.control.fleet, name)

    monkeypatch.setitem(sys.modules, "scheduler.control.fleet", Late("scheduler.control.fleet"))
    thread = FleetThread(FleetOptions(config=place.config, only=("opus",)), lambda *home: None)
    views = thread.watch()
    assert (await anext(views)).loading
    stopping = asyncio.create_task(asyncio.to_thread(thread.stop))
    await asyncio.sleep(0.1)
    assert not stopping.done(), "it waits for the thread"
    imported.set()
    await stopping
    assert "scheduler" not in {each.name for each in threading.enumerate()}
    await views.aclose()


async def test_what_is_wrong_with_the_start_is_shown_by_the_fleet(place):
    place.config.write_text("root = 7\n")
    thread = FleetThread(FleetOptions(config=place.config), lambda *home: None)
    async for view in thread.watch():
        if view.problems:
            break
    assert "main.toml: root" in view.problems[0]
    await asyncio.to_thread(thread.stop)


async def test_a_blocking_handler_is_named_by_the_pulse(place, monkeypatch):
    (place.root / "blocking.py").write_text(
        "import pathlib, time\n"
        "async def run(context):\n"
        "    while not (context.home / 'done').exists(): time.sleep(0.01)\n"
    )
    monkeypatch.syspath_prepend(str(place.root))
    place.tasks(f'block\ncron = {json.dumps(NEVER)}\nhandler = "blocking:run"', command("quick", "true"))
    async with acting("threaded", place) as bench:
        forced = asyncio.create_task(bench.control.force("block"))
        await until(lambda: bench.control.pulse().culprit == "opus/block", "the culprit is named")
        assert bench.control.pulse().age > 0.5
        (place.home / "done").touch()
        await forced


@pytest.mark.parametrize("own", [True, False])
async def test_what_cannot_be_taken_over_is_known_without_trying(place, own):
    options = FleetOptions(config=place.config, only=("opus",))
    async with on_this_loop(options, place) as owner:
        other = Fleet(replace(options, own=own, strict=False))
        await other.start()
        said = f"is owned by pid {os.getpid()}, which is running" if own else "is not run here: this monitor"
        assert other.why_not_own("opus").startswith(f"opus {said}")
        assert other.why_not_own("mira") == "mira is not here any more"
        await owner.end()
        await until(lambda: other.view().controls[0].snapshot().stale, "its owner is gone")
        assert (other.why_not_own("opus") == "") is own
        await other.stop()
    fleet = Fleet(options)
    await fleet.start()
    assert fleet.why_not_own("opus") == "opus runs here already"
    await fleet.stop(0)


async def test_what_takes_over_is_told_what_the_files_say_before_it_asks(place):
    options = FleetOptions(config=place.config, only=("opus",))
    other = Fleet(replace(options, own=False, strict=False))
    await other.start()
    found = await other.look("opus")
    assert found.task("wake") is not None and not found.stale
    with pytest.raises(UnknownCitizen):
        await other.look("mira")
    mark(place.home, Unit("experience-opus"))
    with pytest.raises(Managed, match=r"opus is run by experience-opus\.service"):
        await other.look("opus")
    await other.stop()


async def test_what_runs_is_known_on_any_thread_and_a_snapshot_is_made_on_its_own(place, monkeypatch):
    makers: set[str] = set()
    snapshot = Scheduler.snapshot

    def noted(scheduler: Scheduler) -> Snapshot:
        makers.add(threading.current_thread().name)
        return snapshot(scheduler)

    monkeypatch.setattr(Scheduler, "snapshot", noted)
    thread = FleetThread(FleetOptions(config=place.config, only=("opus",)), lambda *home: None)
    views = thread.watch()
    try:
        async for view in views:
            if view.controls and not view.loading:
                break
        await view.controls[0].force("gate")
        assert (thread.owners(), thread.running()) == ({"opus": "here"}, ["opus/gate"])
    finally:
        await views.aclose()
        thread.stop_now()
        await asyncio.to_thread(thread.stop)
    assert threading.current_thread().name not in makers
