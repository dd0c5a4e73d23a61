"""Wakes: never two agents beside each other, no result lost or delivered twice, whatever dies in between."""

import asyncio
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.planning import recovered
from scheduler.core.records import FinishedRun
from scheduler.core.schedules.schedule import Every
from scheduler.core.state import TaskState
from scheduler.core.task import WAKE, Call, Command, Outcome, Report, Retention, Task, WakeTask
from scheduler.engine.scheduler import Scheduler
from scheduler.engine.wake.letter import letter
from scheduler.errors import AlreadyRunning, TaskFailed
from scheduler.process import process_info
from scheduler.process.process_info import Running, born
from scheduler.schema.json_codec import to_json
from scheduler.storage.history_writer import HistoryWriter
from scheduler.storage.state_file import FILE_NAME
from scheduler.storage.state_store import DiskStore, Store
from scheduler.storage.wake_note import LastDelivered, WakeNote, read_note, settled, wake_state
from tests.each import each
from tests.fakes import NOON, settle, until

HOURLY = 3600.0


@pytest.fixture
def living(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The pids that are alive."""
    pids: set[int] = set()
    monkeypatch.setattr("scheduler.storage.wake_note.alive", lambda running: running.pid in pids)
    return pids


def leave_agents(home: Path, *pids: int, **more: Any) -> None:
    """What an owner that was killed during a wake leaves in its home."""
    (home / ".experience").mkdir()
    agents = tuple(Running(pid, 1.0, NOON) for pid in pids)
    (home / ".experience" / "wake.json").write_text(json.dumps(to_json(WakeNote(agents=agents, **more))))


def woken_before(home: Path) -> None:
    (home / "metadata.json").write_text(json.dumps({"last_wake": "2026-03-02T11:59:00+00:00"}))


class Turns:
    """The citizen's turns: each keeps the letter that it got."""

    def __init__(self) -> None:
        self.letters: list[dict[str, Any]] = []

    async def __call__(self, context: Any) -> str:
        self.letters.append(context.options)
        return "thought"

    @property
    def delivered(self) -> list[list[str]]:
        return [[result["text"] for result in letter["results"]] for letter in self.letters]


def chore(name: str, *texts: str, every: float = HOURLY, **more: Any) -> Task:
    """A task whose runs end with these texts, one after another; one that begins with ! is a failure."""
    left = list(texts)

    async def work(context: Any) -> str:
        text = left.pop(0)
        if text.startswith("!"):
            raise TaskFailed(text[1:])
        return text

    return Task(name, Every(every), Call(work), **more)


async def over(clock: Any, scheduler: Scheduler, count: int) -> None:
    """The wake of this number has ended."""
    await until(
        lambda: scheduler.snapshot().wake.count >= count and not scheduler.snapshot().wake.running_since,
        f"wake {count} is over",
    )
    await clock.advance()


class Home:
    """Owners of one home, one after another, with its history and states on disk."""

    def __init__(self, build: Any, home: Path, clock: Any) -> None:
        self.build, self.home, self.clock = build, home, clock
        self.owner: Scheduler | None = None
        self.history = HistoryWriter()

    async def begins(self, *tasks: Task, turn: Any, **wake: Any) -> Scheduler:
        plan = WakeTask(**{"schedule": Every(86400.0), "work": Call(turn), **wake})
        recorder = self.history.of(self.home, Retention())
        store = DiskStore(self.home, self.clock)
        self.owner = await self.build(*tasks, wake=plan, store=store, recorder=recorder)
        return self.owner

    async def ends(self) -> None:
        assert self.owner
        await self.owner.stop(0)

    async def ran(self, *names: str, times: int = 1) -> None:
        """These tasks have run so often; real time, for their states are saved by threads."""
        assert self.owner
        owner = self.owner

        def counted() -> bool:
            rows = [row for row in owner.snapshot().tasks if row.name in names]
            return all(row.run_count >= times for row in rows)

        await self.clock.advance()
        await until(counted, f"{names} ran")

    async def woken(self) -> None:
        assert self.owner
        count = self.owner.snapshot().wake.count
        await self.owner.wake()
        await over(self.clock, self.owner, count + 1)


@pytest.fixture
async def place(build: Any, home: Path, clock: Any) -> Any:
    place = Home(build, home, clock)
    yield place
    if place.owner:
        await place.ends()
    await place.history.close()


# ------------------------------------------------------------------ one agent at a time


async def by_schedule(scheduler: Scheduler, clock: Any) -> None:
    await clock.advance(60)


async def by_key(scheduler: Scheduler, clock: Any) -> None:
    with pytest.raises(AlreadyRunning, match=r"opus is already awake: .*pid 4711"):
        await scheduler.wake()


async def in_one_turn(scheduler: Scheduler, clock: Any) -> None:
    assert await scheduler.wake_and_wait() == "skipped"


async def urgently(scheduler: Scheduler, clock: Any) -> None:
    await scheduler.force("mail")
    await clock.advance(60)


async def urgent_mail(context: Any) -> Report:
    return Report("URGENT:1 from ct@example.org", urgent=True)


MAIL = Task("mail", Every(86400.0), Call(urgent_mail), enabled=False)


@each("way", [by_schedule, by_key, in_one_turn, urgently])
async def test_no_second_agent_beside_one_that_outlived_its_owner(build, clock, home, living, way):
    """However the wake is asked for, the agent that a killed owner woke is waited for."""
    turns = Turns()
    leave_agents(home, 4711)
    living.add(4711)
    scheduler = await build(MAIL, wake=WakeTask(work=Call(turns)))
    await way(scheduler, clock)
    await asyncio.sleep(0.05)
    assert not turns.letters
    assert scheduler.snapshot().wake.count == 0
    assert [each.pid for each in read_note(home).living()] == [4711]


async def test_something_urgent_wakes_as_soon_as_the_agent_of_a_dead_owner_has_ended(
    build, clock, home, living
):
    turns = Turns()
    woken_before(home)
    leave_agents(home, 4711)
    living.add(4711)
    scheduler = await build(MAIL, wake=WakeTask(schedule=Every(86400.0), work=Call(turns)))
    await scheduler.force("mail")
    await clock.advance(30)
    await until(lambda: "4711" in scheduler.snapshot().wake.note, "it is said")
    await until(lambda: not scheduler.snapshot().wake.running_since, "the wake was skipped")
    assert not turns.letters
    living.clear()
    await clock.advance(3)
    await over(clock, scheduler, 1)
    assert turns.delivered == [["URGENT:1 from ct@example.org"]]


async def test_all_agents_that_still_live_are_waited_for_and_named(build, clock, home, living):
    turns = Turns()
    leave_agents(home, 4711, 4712)
    living |= {4711, 4712}
    scheduler = await build(wake=WakeTask(work=Call(turns)))
    await clock.advance(10)
    assert "pid 4711, pid 4712" in scheduler.snapshot().wake.note
    living.discard(4712)
    await clock.advance(10)
    assert not turns.letters and "(pid 4711)" in scheduler.snapshot().wake.note
    living.clear()
    await clock.advance(3)
    await over(clock, scheduler, 1)
    assert len(turns.letters) == 1


async def test_a_note_of_an_older_version_names_its_agent_too(build, clock, home, living):
    (home / ".experience").mkdir()
    (home / ".experience" / "wake.json").write_text(json.dumps(to_json(Running(4711, 1.0, NOON))))
    living.add(4711)
    scheduler = await build(wake=WakeTask(work=Call(Turns())))
    await clock.advance(10)
    assert "pid 4711" in scheduler.snapshot().wake.note


async def test_an_agent_that_could_not_be_ended_is_remembered_for_the_next_owner(build, clock, home, living):
    """What hangs in the kernel outlives its time limit; after a restart it still is the one agent."""
    turn = Command(("sh", "-c", "while [ ! -e go ]; do sleep 0.01; done"))
    scheduler = await build(wake=WakeTask(work=turn))
    await clock.advance()
    await until(lambda: read_note(home).agents, "the agent is recorded")
    living.add(read_note(home).agents[0].pid)
    (home / "go").touch()
    await over(clock, scheduler, 1)
    assert [each.pid for each in read_note(home).living()] == list(living)
    await scheduler.stop(0)
    turns = Turns()
    later = await build(wake=WakeTask(work=Call(turns)))
    await clock.advance(3600)
    assert not turns.letters and later.snapshot().wake.count == 1


# ------------------------------------------------------------------ an owner that dies


async def test_an_agent_that_takes_its_owner_down_is_not_woken_at_every_start(build, clock, home, living):
    """The wake that was under way has its number and its time: the next one comes an interval later."""
    leave_agents(home, 4711, number=7, since=NOON - 60)
    turns = Turns()
    scheduler = await build(wake=WakeTask(schedule=Every(600.0), work=Call(turns)))
    view = scheduler.snapshot().wake
    assert (view.count, view.last, view.due) == (7, NOON - 60, NOON + 540)
    assert view.error == "interrupted: the scheduler died during this run"
    await clock.advance(500)
    assert not turns.letters
    await clock.advance(60)
    await over(clock, scheduler, 8)
    wakes = json.loads((home / "wake_log.json").read_text())["wakes"]
    assert [(wake["wake"], wake["outcome"]) for wake in wakes] == [(7, "interrupted"), (8, "ok")]
    assert json.loads((home / "metadata.json").read_text())["wake_count"] == 8


def test_a_wake_that_was_recorded_before_its_state_was_saved_is_counted_once():
    """Killed between the two, the next owner finds its run open, and that counts it."""
    under_way = TaskState(last_run=NOON - 60, run_count=6, running=Running(4711, 1.0, NOON - 60))
    state = wake_state(under_way, WakeNote(), NOON - 60, 7, NOON)
    assert recovered(state, NOON, lambda running: False).run_count == 7
    begun_later = wake_state(under_way, WakeNote(), NOON - 3600, 6, NOON)
    assert recovered(begun_later, NOON, lambda running: False).run_count == 7


async def test_a_wake_that_was_recorded_before_its_owner_died_is_not_recorded_again(build, home, living):
    (home / "metadata.json").write_text(
        json.dumps({"wake_count": 7, "last_wake": "2026-03-02T11:59:00+00:00"})
    )
    leave_agents(home, number=7, since=NOON - 60)
    scheduler = await build(wake=WakeTask(work=Call(Turns())))
    assert (scheduler.snapshot().wake.count, scheduler.snapshot().wake.error) == (7, "")
    assert not (home / "wake_log.json").exists()


async def test_a_wake_that_was_promised_comes_after_a_crash(build, clock, home):
    """The verb said "waking"; the owner died while due tasks still ran."""
    woken_before(home)
    never = asyncio.Event()

    async def slow(context: Any) -> str:
        await never.wait()
        return ""

    turns = Turns()
    plan = WakeTask(schedule=Every(86400.0), work=Call(turns))
    slow_one = Task("slow", Every(60.0), Call(slow), timeout=9000)
    dies = await build(slow_one, wake=plan, store=DiskStore(home, clock))
    assert (await dies.wake()).text == "opus: waking"
    await clock.advance(5)
    states = (home / FILE_NAME).read_bytes()
    stopping = asyncio.create_task(dies.stop(0))
    await clock.advance(1)
    await stopping
    (home / FILE_NAME).write_bytes(states)  # as after kill -9
    later = await build(wake=plan, store=DiskStore(home, clock))
    await clock.advance(1)
    await over(clock, later, 1)
    assert len(turns.letters) == 1
    await clock.advance(3600)
    assert len(turns.letters) == 1


async def test_who_asks_while_the_last_wake_is_written_down_gets_a_wake_of_their_own(
    build, clock, home, monkeypatch
):
    """The agent has ended: there is nothing left to join."""
    woken_before(home)
    turns, gate = Turns(), threading.Event()
    plan = WakeTask(schedule=Every(86400.0), work=Call(turns))
    scheduler = await build(wake=plan)
    monkeypatch.setattr("scheduler.engine.wake.record_files.write_events", lambda *given: gate.wait(20))
    await scheduler.wake()
    await clock.advance()
    await until(lambda: (home / "wake_log.json").exists(), "the wake is being written down")
    asked = asyncio.create_task(scheduler.wake())
    await clock.advance()
    gate.set()
    await asked
    await until(lambda: len(turns.letters) > 1, "another wake")


async def test_who_joins_a_turn_is_answered_once_a_crash_cannot_lose_it(build, clock, home, monkeypatch):
    """Killed just before the agent began, the wake that was joined had left no trace."""
    gate = threading.Event()
    monkeypatch.setattr("scheduler.engine.wake.wake.letter", lambda *given: gate.wait(20) and letter(*given))
    scheduler = await build(wake=WakeTask(work=Call(Turns())))
    await clock.advance(1)
    await settle()
    joined = asyncio.create_task(scheduler.wake())
    await settle()
    assert not joined.done()
    gate.set()
    await joined
    assert read_note(home).delivered or json.loads((home / "metadata.json").read_text())["wake_count"] == 1


async def test_a_wake_that_cannot_be_noted_says_so(build, clock, home):
    woken_before(home)
    (home / ".experience").mkdir()
    (home / ".experience" / "wake.json").mkdir()  # nothing can be written in its place
    turns = Turns()
    scheduler = await build(wake=WakeTask(schedule=Every(86400.0), work=Call(turns)))
    await scheduler.wake()
    await over(clock, scheduler, 1)
    assert len(turns.letters) == 1
    assert scheduler.snapshot().wake.error == "wake not recorded: Is a directory"


# ------------------------------------------------------------------ the results since the last wake


async def test_what_failed_before_a_restart_is_in_the_letter_of_the_next_wake(place, clock):
    turns = Turns()
    woken_before(place.home)
    await place.begins(chore("news", "!timed out"), turn=turns)
    await place.ran("news")
    await place.ends()
    await place.begins(turn=turns)
    await place.woken()
    assert turns.delivered[-1] == ["timed out"]


async def test_no_result_is_told_twice_over_restarts(place, clock):
    turns = Turns()
    woken_before(place.home)
    await place.begins(chore("news", "one", "two"), chore("mail", "three", "four"), turn=turns)
    await place.ran("news", "mail")
    await place.woken()
    await clock.advance(HOURLY)
    await place.ran("news", "mail", times=2)
    await place.ends()
    for _ in range(2):
        await place.begins(turn=turns)
        await place.woken()
        await place.ends()
    assert [sorted(texts) for texts in turns.delivered] == [["one", "three"], ["four", "two"], []]


async def test_results_of_a_wake_that_did_not_begin_come_with_the_next(place, clock):
    turns = Turns()
    await place.begins(
        chore("news", "one"), turn=turns, work=Command(("no-such-program",)), schedule=Every(600.0)
    )
    await clock.advance()
    await over(clock, place.owner, 1)
    assert "no such program" in place.owner.snapshot().wake.error
    await place.ends()
    await place.begins(turn=turns)
    await place.woken()
    assert turns.delivered == [["one"]]


async def test_an_agent_that_outlived_its_owner_has_been_told_its_results(place, clock, living):
    """Its letter is not written again for the agent after it."""
    turns = Turns()
    await place.begins(chore("news", "one"), turn=turns, work=Command(("sleep", "60")))
    await clock.advance()
    await until(lambda: read_note(place.home).agents, "the agent runs")
    note = (place.home / ".experience" / "wake.json").read_bytes()
    place.owner.stop_now()
    await place.ends()
    (place.home / "metadata.json").unlink()
    (place.home / ".experience" / "wake.json").write_bytes(note)  # as after kill -9
    await place.begins(turn=turns)
    await place.woken()
    assert turns.delivered == [[]]


async def test_a_turn_that_never_began_is_forgotten_before_the_next_is_prepared(place, living):
    """Else the owner after that one takes it for a turn that has begun, and its results for delivered."""
    delivered = LastDelivered("news", NOON - 60)
    leave_agents(
        place.home,
        4711,
        number=7,
        since=NOON - 30,
        delivered=delivered,
        delivered_before=LastDelivered("", 0.0),
    )
    (place.home / "metadata.json").write_text(json.dumps({"wake_count": 6}))
    running = Running(4712, 1.0, NOON - 30)
    saved = {WAKE: TaskState(last_run=NOON - 30, running=running, starting=True)}
    await place.build(
        store=Store(saved), wake=WakeTask(schedule=Every(86400.0), work=Call(Turns())), wakes=False
    )
    note = read_note(place.home)
    assert (note.number, note.delivered) == (0, LastDelivered("", 0.0))


async def test_an_agent_that_a_full_disk_kept_from_the_note_is_waited_for_and_recorded(
    build, clock, home, living
):
    """Its owner was killed once the state was saved again, before another note was written."""
    turns = Turns()
    leave_agents(home, 4711, number=1, since=NOON - 900)  # that turn has ended
    living.add(4712)
    agent = Running(4712, 1.0, NOON - 300)
    saved = {WAKE: TaskState(last_run=NOON - 300, run_count=1, running=agent)}
    scheduler = await build(store=Store(saved), wake=WakeTask(schedule=Every(300), work=Call(turns)))
    await clock.advance(60)
    assert not turns.letters and "(pid 4712)" in scheduler.snapshot().wake.note
    (record,) = json.loads((home / "wake_log.json").read_text())["wakes"]
    assert (record["wake"], record["outcome"], record["time"][11:19]) == (2, "interrupted", "11:55:00")
    living.clear()
    await clock.advance(3)
    await over(clock, scheduler, 3)
    assert turns.letters[0]["wake"] == 3


def test_the_results_of_a_wake_that_has_ended_stay_delivered_while_the_next_is_prepared():
    """A full disk kept the end of the first from the note."""
    told, before = LastDelivered("news", NOON - 60), LastDelivered("", 0.0)
    note = WakeNote(1, NOON - 900, delivered=told, delivered_before=before)
    next_one = TaskState(run_count=1, running=Running(4712, 1.0, NOON), starting=True)
    assert settled(note, next_one).delivered == told
    assert settled(note, next_one.changed(run_count=0)).delivered == before


async def test_results_survive_a_clock_that_was_set_back(place, clock):
    turns = Turns()
    await place.begins(chore("news", "one", "two"), turn=turns)
    await clock.advance()
    await over(clock, place.owner, 1)
    await clock.jump(-1800)
    await place.owner.force("news")
    await place.ran("news", times=2)
    await place.ends()
    await place.begins(turn=turns)
    await place.woken()
    assert turns.delivered == [["one"], ["two"]]


async def test_results_survive_a_clock_set_back_after_a_kill_lost_the_last_one_told(place, clock):
    """Found by the simulation: the run after the step was older than what the wake was given last."""
    turns = Turns()
    await place.begins(chore("news", "one"), turn=turns)
    await clock.advance()
    await over(clock, place.owner, 1)
    await place.ends()
    for file in place.home.glob("runs.db*"):
        file.unlink()
    await clock.jump(-1800)
    await place.begins(chore("news", "two"), turn=turns)
    await place.owner.force("news")
    await place.ran("news", times=2)
    await place.ends()
    await place.begins(turn=turns)
    await place.woken()
    assert turns.delivered == [["one"], ["two"]]


async def test_the_newest_results_are_kept_where_there_are_too_many(place, clock):
    turns = Turns()
    woken_before(place.home)
    record = place.history.of(place.home, Retention()).record
    for number in range(400):
        at = NOON + number / 10
        record(FinishedRun("tick", None, 1, at, at, 0.0, Outcome.OK, str(number)))
    await place.begins(turn=turns)
    await place.woken()
    (texts,) = turns.delivered
    assert texts == [str(number) for number in range(200, 400)]


async def test_a_history_that_lost_its_last_runs_to_a_kill_does_not_lose_them_for_the_wake(place, clock):
    """The history is up to half a second behind, the states are not."""
    turns = Turns()
    woken_before(place.home)
    await place.begins(chore("news", "one"), chore("mail", "!two"), turn=turns)
    await clock.advance(1)
    await place.ran("news", "mail")
    await place.ends()
    for file in place.home.glob("runs.db*"):
        file.unlink()
    await place.begins(turn=turns)
    await place.woken()
    assert [sorted(texts) for texts in turns.delivered] == [["one", "two"]]


async def test_a_history_that_cannot_be_read_does_not_keep_the_citizen_asleep(place, clock):
    turns = Turns()
    (place.home / "runs.db").mkdir()
    await place.begins(chore("news", "one"), turn=turns)
    await clock.advance()
    await over(clock, place.owner, 1)
    assert turns.delivered == [["one"]]
    assert "results not read" in [event.kind for event in place.owner.snapshot().events]


def test_what_is_wanted_during_a_turn_outlives_the_owner_of_that_turn():
    """The state knows the turn already: that another one is wanted was noted since."""
    agent = Running(4711, 1.0, NOON - 60)
    note = WakeNote(7, NOON - 60, (agent,))
    during = TaskState(last_run=NOON - 60, running=agent).asked_for()
    before = TaskState(last_run=NOON - 3600).asked_for()  # saved before the turn began
    assert wake_state(during, note, None, 6, NOON).due_now
    assert not wake_state(before, note, None, 6, NOON).due_now


def test_a_process_is_alive_only_if_it_is_the_same(monkeypatch):
    here = Running(os.getpid(), born(os.getpid()) or 0.0, NOON)
    assert process_info.alive(here)
    assert not process_info.alive(Running(here.pid, here.born + 1, NOON))


def test_a_wake_whose_end_a_full_disk_kept_from_the_note_has_ended_although_the_clock_was_set_since():
    ended = TaskState(last_run=NOON - 1800, run_count=3, outcome=Outcome.OK, text="done")
    assert wake_state(ended, WakeNote(3, since=NOON), None, 2, NOON + 60) == ended
    begun = TaskState(last_run=NOON - 1800, run_count=2)
    assert wake_state(begun, WakeNote(3, since=NOON), None, 2, NOON + 60).running
