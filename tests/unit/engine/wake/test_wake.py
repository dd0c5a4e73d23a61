"""The wake cycle: due tasks first, then the citizen's turn, then the record."""

import asyncio
import contextlib
import json
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.schedules.schedule import Cron, Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Command, Report, Task, WakeTask
from scheduler.engine.scheduler import Scheduler
from scheduler.engine.wake.record import RETRY
from scheduler.errors import NotSetUp
from scheduler.storage.wake_note import WakeNote, read_note, write_note
from tests.each import each
from tests.fakes import NOON, Gate, state_of, until


def calls(function: Any, every: float = 100_000, name: str = "tick", **more: Any) -> Task:
    return Task(name, Every(every), Call(function), **more)


def metadata(home: Path) -> dict[str, Any]:
    return json.loads((home / "metadata.json").read_text())


async def awake(clock, scheduler: Scheduler, count: int) -> None:
    """Recording a wake is done by a thread, which fake time does not wait for."""

    def over() -> bool:
        wake = scheduler.snapshot().wake
        return wake.count >= count and wake.running_since is None

    await until(over, f"wake {count} is over")
    await clock.advance()


async def test_due_tasks_run_before_the_wake_and_the_wake_is_told_of_them(build, clock, home, runs):
    async def chore(context: Any) -> str:
        runs.append("chore")
        return "found 3"

    async def turn(context: Any) -> str:
        runs.append(context.options["results"])
        return "thought"

    scheduler = await build(calls(chore), wake=WakeTask(work=Call(turn)))
    await clock.advance()
    await awake(clock, scheduler, 1)
    assert runs[0] == "chore"
    assert [(r["task"], r["outcome"], r["text"]) for r in runs[1]] == [("tick", "ok", "found 3")]


async def test_a_wake_comes_every_interval_and_is_recorded(build, clock, home):
    scheduler = await build(wake=WakeTask(schedule=Every(600)))
    for number in (1, 2, 3):
        await clock.advance()
        await awake(clock, scheduler, number)
        await clock.advance(600)
    wakes = json.loads((home / "wake_log.json").read_text())["wakes"]
    assert [wake["wake"] for wake in wakes[:3]] == [1, 2, 3]
    assert metadata(home)["last_wake"].startswith("2026-03-02T12:")


@each("step", [3600.0, -3600.0])
async def test_a_wake_counts_from_when_it_was_decided_by_the_clock_as_it_is_when_its_turn_begins(
    build, clock, home, step
):
    chore = Gate()
    scheduler = await build(calls(chore), wake=WakeTask(schedule=Every(600)))
    await clock.advance(10)
    await clock.jump(step)
    chore.open.set()
    await clock.advance()
    await awake(clock, scheduler, 1)
    assert scheduler.snapshot().wake.last == NOON + step
    assert scheduler.snapshot().wake.due == NOON + step + 600


async def test_the_record_of_a_wake_is_not_ahead_when_the_clock_was_set_back_during_it(build, clock, home):
    begun, gate = asyncio.Event(), asyncio.Event()

    async def turn(context: Any) -> str:
        begun.set()
        await gate.wait()
        return ""

    scheduler = await build(wake=WakeTask(schedule=Every(600), work=Call(turn)))
    await clock.advance()
    await begun.wait()
    await clock.jump(-3600)
    gate.set()
    await awake(clock, scheduler, 1)
    assert datetime.fromisoformat(metadata(home)["last_wake"]).timestamp() == clock.now()
    assert scheduler.snapshot().wake.due == clock.now() + 600


async def test_a_record_that_is_ahead_does_not_put_off_the_wake_at_the_restart_after_the_next(
    build, clock, home
):
    last = NOON - 300
    (home / "metadata.json").write_text('{"last_wake": "2026-03-02T13:00:00+00:00", "wake_count": 41}')
    for _ in range(2):
        scheduler = await build(wake=WakeTask(schedule=Every(600)), states={"wake": TaskState(last_run=last)})
        assert scheduler.snapshot().wake.due == last + 600


async def test_a_wake_that_was_asked_for_just_before_its_slot_serves_it_though_its_owner_dies(
    build, clock, home
):
    chore, turn, begun = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def busy(context: Any) -> None:
        await chore.wait()

    async def agent(context: Any) -> None:
        begun.set()
        await turn.wait()

    scheduler = await build(calls(busy), wake=WakeTask(schedule=Cron("*/10 * * * *"), work=Call(agent)))
    await clock.advance(599)
    await scheduler.force("tick")
    await scheduler.wake()
    await clock.advance(2)
    chore.set()
    await clock.advance()
    await begun.wait()
    assert state_of(scheduler, "wake").slot == NOON + 600
    turn.set()


async def test_a_wake_that_the_disk_was_too_full_to_record_does_not_come_again(build, clock, home):
    (home / "metadata.json").write_text('{"last_wake": "2026-03-02T11:45:00+00:00", "wake_count": 41}')
    state = TaskState(last_run=NOON - 300, run_count=42)
    scheduler = await build(wake=WakeTask(schedule=Every(600)), states={"wake": state})
    assert scheduler.snapshot().wake.due == NOON + 300
    assert scheduler.snapshot().wake.count == 42


async def test_the_next_wake_is_counted_from_the_last_recorded_one_and_unknown_keys_survive(
    build, clock, home
):
    last = "2026-03-02T11:55:00+00:00"
    (home / "metadata.json").write_text(json.dumps({"last_wake": last, "wake_count": 41, "mood": "calm"}))
    scheduler = await build(wake=WakeTask(schedule=Every(600)))
    assert scheduler.snapshot().wake.due == NOON + 300
    await clock.advance(301)
    await awake(clock, scheduler, 42)
    assert metadata(home)["mood"] == "calm"


async def test_a_wake_by_cron_comes_at_its_times_and_once_for_all_that_were_missed(build, clock, home):
    plan = WakeTask(schedule=Cron("*/10 * * * *"))
    scheduler = await build(wake=plan)
    assert scheduler.snapshot().wake.due == NOON + 600
    await clock.advance(601)
    await awake(clock, scheduler, 1)
    assert scheduler.snapshot().wake.due == NOON + 1200
    await clock.advance(3600)
    await awake(clock, scheduler, 2)
    assert scheduler.snapshot().wake.due == NOON + 4800


async def test_only_the_last_thousand_wakes_are_kept(build, clock, home):
    old = [{"wake": n} for n in range(1500)]
    (home / "wake_log.json").write_text(json.dumps({"wakes": old, "note": "kept"}))
    await build(wake=WakeTask())
    await clock.advance()
    await until(lambda: len(json.loads((home / "wake_log.json").read_text())["wakes"]) == 1000, "pruned")
    assert json.loads((home / "wake_log.json").read_text())["note"] == "kept"


async def test_a_slow_task_is_waited_for_only_so_long_and_reported_as_still_running(build, clock, home, runs):
    slow = Gate()

    async def turn(context: Any) -> str:
        runs.append(context.options["still_running"])
        return ""

    await build(calls(slow, timeout=10_000), wake=WakeTask(work=Call(turn), patience=300))
    await clock.advance(299)
    assert runs == []
    await clock.advance(2)
    await until(lambda: runs, "the wake")
    assert runs == [["tick"]]
    slow.open.set()


async def test_a_wake_command_gets_its_letter_on_standard_input(build, clock, home):
    (home / "tasks" / "queue").mkdir(parents=True)
    (home / "tasks" / "queue" / "mail-1.json").write_text("{}")
    script = 'cat > letter.json; echo "$CITIZEN $EXPERIENCE_WAKE" > who'
    scheduler = await build(wake=WakeTask(work=Command(("sh", "-c", script))))
    await clock.advance()
    await awake(clock, scheduler, 1)
    letter = json.loads((home / "letter.json").read_text())
    assert (letter["citizen"], letter["wake"], letter["queue"]) == ("opus", 1, ["mail-1.json"])
    assert (home / "who").read_text() == "opus 1\n"


async def test_a_failed_wake_is_shown_and_the_next_one_comes(build, clock, home):
    scheduler = await build(wake=WakeTask(work=Command(("sh", "-c", "echo broken; exit 3"))))
    await clock.advance()
    await awake(clock, scheduler, 1)
    view = scheduler.snapshot().wake
    assert view.error == "exit 3: broken" and view.due == NOON + 600


async def test_an_urgent_result_wakes_at_once_but_not_again_within_the_cooldown(build, clock, home):
    async def mail(context: Any) -> Report:
        return Report("URGENT:1 from ct@example.org", urgent=True)

    (home / "metadata.json").write_text(json.dumps({"last_wake": "2026-03-02T12:00:00+00:00"}))
    scheduler = await build(
        calls(mail, every=60), wake=WakeTask(schedule=Every(100_000), urgent_cooldown=600)
    )
    await clock.advance()
    await awake(clock, scheduler, 1)
    await clock.advance(590)
    assert metadata(home)["wake_count"] == 1
    await clock.advance(30)
    await awake(clock, scheduler, 2)


async def test_a_clock_set_back_does_not_put_the_citizen_to_sleep(build, clock):
    scheduler = await build(wake=WakeTask(schedule=Every(600)))
    await clock.advance()
    await awake(clock, scheduler, 1)
    await clock.jump(-7200)
    await clock.advance(601)
    await awake(clock, scheduler, 2)


async def test_shutting_down_while_a_wake_waits_for_tasks_gives_no_turn(build, clock, home, runs):
    slow = Gate()

    async def turn(context: Any) -> str:
        runs.append("turn")
        return ""

    scheduler = await build(calls(slow), wake=WakeTask(work=Call(turn)), grace=1)
    await clock.advance()
    stopping = asyncio.create_task(scheduler.stop())
    await clock.advance(5)
    await stopping
    assert runs == [] and not (home / "metadata.json").exists()


async def test_a_wake_does_not_wait_for_a_task_that_was_paused_in_the_queue(build, clock, home, runs):
    slow = Gate()

    async def turn(context: Any) -> str:
        runs.append(context.options["still_running"])
        return ""

    tasks = [calls(slow, name="a", priority=1), calls(slow, name="b", priority=2)]
    scheduler = await build(*tasks, wake=WakeTask(work=Call(turn)), workers=1)
    await clock.advance()
    await scheduler.pause("b")
    slow.open.set()
    await clock.advance(1)
    await until(lambda: runs, "the wake")
    assert runs == [[]]


class Deaf:
    """A turn that ignores being cancelled until it is let go."""

    def __init__(self) -> None:
        self.turns = 0
        self.open = asyncio.Event()

    async def __call__(self, context: Any) -> str:
        self.turns += 1
        while not self.open.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.open.wait()
        return "at last"


async def passes(clock, seconds: float) -> None:
    """Time goes on, and the threads that write wakes down keep up with it."""
    for _ in range(int(seconds / 10)):
        await clock.advance(10)
        await asyncio.sleep(0.002)


async def test_a_turn_that_cannot_be_stopped_does_not_hold_up_the_end(build, clock):
    deaf = Deaf()
    scheduler = await build(wake=WakeTask(work=Call(deaf)))
    await clock.advance(20)
    await until(lambda: deaf.turns, "the turn")
    stopping = asyncio.create_task(scheduler.stop(1))
    await passes(clock, 60)
    try:
        await until(stopping.done, "it stopped without the turn")
    finally:
        deaf.open.set()  # first of all: the clean-up stops it, too
    assert deaf.turns == 1


async def test_a_turn_that_cannot_be_stopped_is_written_off_and_not_doubled(build, clock):
    deaf = Deaf()
    scheduler = await build(wake=WakeTask(work=Call(deaf), timeout=60))
    await passes(clock, 2900)
    since, turns = scheduler.snapshot().wake.running_since, deaf.turns
    deaf.open.set()
    assert (since, turns) == (None, 1)


async def test_no_second_turn_beside_a_thread_that_timed_out(build, clock):
    let_go, turns = threading.Event(), []

    def turn(context: Any) -> str:
        turns.append(context.trigger)
        let_go.wait(20)
        return ""

    await build(wake=WakeTask(work=Call(turn), timeout=60))
    await passes(clock, 3000)
    let_go.set()
    assert len(turns) == 1


async def test_something_urgent_during_a_wake_wakes_once_more_after_it(build, clock):
    gate, turns = asyncio.Event(), []

    async def turn(context: Any) -> str:
        turns.append(context.options["results"])
        await gate.wait()
        return ""

    async def mail(context: Any) -> str:
        return "URGENT:1 from ct@example.org"

    states = {"mail": TaskState(last_run=NOON)}
    plan = WakeTask(schedule=Every(21600), work=Call(turn))
    scheduler = await build(calls(mail, every=86400, name="mail"), states=states, wake=plan)
    await clock.advance(20)
    await until(lambda: turns, "the turn")
    await scheduler.force("mail")
    await passes(clock, 20)
    assert len(turns) == 1
    gate.set()
    await until(lambda: len(turns) > 1, "another turn")
    await passes(clock, 100)
    assert [len(results) for results in turns] == [0, 1]


async def test_w_wakes_now(build, clock, home):
    (home / "metadata.json").write_text(json.dumps({"last_wake": "2026-03-02T12:00:00+00:00"}))
    scheduler = await build(wake=WakeTask())
    await scheduler.wake()
    await scheduler.wake()  # the one under way
    await awake(clock, scheduler, 1)
    assert metadata(home)["wake_count"] == 1


async def test_without_wakes_the_verb_is_refused(build):
    scheduler = await build()
    with pytest.raises(NotSetUp):
        await scheduler.wake()


async def test_a_wake_that_takes_too_long_is_timed_out(build, clock, home):
    async def turn(context: Any) -> str:
        await asyncio.sleep(3600)
        return ""

    scheduler = await build(wake=WakeTask(work=Call(turn), timeout=50))
    await clock.advance()
    for _ in range(200):
        await clock.advance(1)
        await asyncio.sleep(0.002)
        if scheduler.snapshot().wake.error:
            break
    assert scheduler.snapshot().wake.error == "timed out after 50s"


async def test_no_second_agent_beside_one_that_a_dead_owner_woke(build, clock, home, monkeypatch):
    import os

    from scheduler.process.process_info import Running, born
    from scheduler.schema.json_codec import to_json

    (home / ".experience").mkdir()
    living = Running(os.getpid(), born(os.getpid()) or 0.0, NOON)
    (home / ".experience" / "wake.json").write_text(json.dumps(to_json(living)))
    scheduler = await build(wake=WakeTask())
    await clock.advance(60)
    assert scheduler.snapshot().wake.count == 0
    assert str(os.getpid()) in scheduler.snapshot().wake.note
    monkeypatch.setattr("scheduler.storage.wake_note.alive", lambda agent: False)
    await clock.advance(3)
    await awake(clock, scheduler, 1)


async def test_a_wake_that_cannot_be_recorded_says_so_and_goes_on(build, clock, home):
    (home / "metadata.json").mkdir()
    scheduler = await build(wake=WakeTask())
    await clock.advance()
    await until(lambda: "not recorded" in scheduler.snapshot().wake.error, "it is said")


def wakes(home: Path) -> list[int]:
    return [wake["wake"] for wake in json.loads((home / "wake_log.json").read_text())["wakes"]]


async def test_wakes_that_cannot_be_recorded_are_logged_once_and_recorded_later(build, clock, home, caplog):
    (home / "metadata.json").mkdir()
    (home / "wake_log.json").mkdir()
    scheduler = await build(wake=WakeTask(schedule=Every(600)), states={"wake": TaskState(last_run=NOON)})
    for number in (1, 2):
        await clock.advance(600)
        await awake(clock, scheduler, number)
    (home / "metadata.json").rmdir()
    (home / "wake_log.json").rmdir()
    await clock.advance(RETRY)
    await until(lambda: not scheduler.snapshot().wake.error, "they are recorded")
    said = [record for record in caplog.records if record.name == "experience.wake"]
    assert [record.message for record in said] == ["wake not recorded", "wakes recorded again"]
    assert (wakes(home), metadata(home)["wake_count"]) == ([1, 2], 2)
    (day,) = (home / "memory" / "raw").rglob("*.json")
    assert [event["wake"] for event in json.loads(day.read_text())] == [1, 2]


async def test_the_note_of_a_wake_that_a_full_disk_did_not_take_is_written_once_there_is_room(
    build, clock, home
):
    async def chore(context: Any) -> str:
        return "found 3"

    (home / ".experience" / "wake.json").mkdir(parents=True)
    scheduler = await build(calls(chore), wake=WakeTask(work=Call(chore)))
    await clock.advance()
    await awake(clock, scheduler, 1)
    (home / ".experience" / "wake.json").rmdir()
    await clock.advance(RETRY)
    await until(lambda: not scheduler.snapshot().wake.error, "it is written")
    delivered = read_note(home).delivered
    assert delivered and delivered.task == "tick"


async def test_a_wake_that_is_in_its_log_but_not_durable_is_not_logged_twice(build, clock, home, monkeypatch):
    def broken(place: Any) -> None:
        raise OSError(5, "Input/output error")

    scheduler = await build(wake=WakeTask(schedule=Every(600)), states={"wake": TaskState(last_run=NOON)})
    monkeypatch.setattr("scheduler.system.foreign_home.Place.sync_folder", broken)
    await clock.advance(600)
    await awake(clock, scheduler, 1)
    monkeypatch.undo()
    await clock.advance(RETRY)
    await until(lambda: not scheduler.snapshot().wake.error, "it is recorded")
    (day,) = (home / "memory" / "raw").rglob("*.json")
    assert (wakes(home), len(json.loads(day.read_text()))) == ([1], 1)


async def test_a_wake_that_was_not_recorded_is_when_its_scheduler_stops_and_never_after(build, clock, home):
    (home / "metadata.json").mkdir()
    scheduler = await build(wake=WakeTask(schedule=Every(600)), states={"wake": TaskState(last_run=NOON)})
    await clock.advance(600)
    await awake(clock, scheduler, 1)
    (home / "metadata.json").rmdir()
    await scheduler.stop(0)
    assert metadata(home)["wake_count"] == 1
    (home / "metadata.json").unlink()
    await clock.advance(RETRY)
    assert not (home / "metadata.json").exists()


async def test_a_turn_that_its_owner_could_not_record_is_recorded_by_the_next_once_there_is_room(
    build, clock, home
):
    (home / "metadata.json").write_text('{"wake_count": 6}')
    write_note(home, WakeNote(7, NOON - 60), durable=False)
    (home / "wake_log.json").mkdir()
    scheduler = await build(wake=WakeTask(schedule=Every(6000)))
    assert scheduler.snapshot().wake.error == "wake not recorded: Is a directory"
    (home / "wake_log.json").rmdir()
    await clock.advance(RETRY)
    await until(lambda: (home / "wake_log.json").exists() and wakes(home) == [7], "it is recorded")


async def test_a_wake_that_leaves_cron_comes_at_its_next_time_not_at_once(build, clock, home):
    """Its last slot before the move was served by cron: a turn more would be paid for twice."""
    every_ten = WakeTask(schedule=Every(600))
    scheduler = await build(wake=every_ten, states={"wake": TaskState(last_run=NOON - 151)})
    await clock.advance(174)  # three minutes past its last wake, and past the slot of noon
    moved = WakeTask(schedule=Cron("*/10 * * * *"))
    scheduler.set_tasks((), replace(scheduler._rules, wake=moved))
    await clock.advance(5)
    assert (scheduler.snapshot().wake.count, scheduler.snapshot().wake.due) == (0, NOON + 600)
    await clock.advance(600)
    await awake(clock, scheduler, 1)


async def test_a_loop_that_starts_after_the_move_waits_for_the_next_time_too(build, clock, home):
    state = TaskState(last_run=NOON - 300, schedule="every 10m")
    await clock.advance(174)
    scheduler = await build(wake=WakeTask(schedule=Cron("*/10 * * * *")), states={"wake": state})
    await clock.advance(5)
    assert (scheduler.snapshot().wake.count, scheduler.snapshot().wake.due) == (0, NOON + 600)
