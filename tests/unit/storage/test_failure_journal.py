"""Runs that went wrong reach the raw memory: in batches, off the loop, each once."""

import asyncio
import json
import logging
import threading
from pathlib import Path

import pytest

from scheduler.core.schedules.schedule import Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Outcome, Report, Task
from scheduler.core.views import Event
from scheduler.errors import TaskFailed
from scheduler.process.process_info import Running
from scheduler.storage import failure_journal as module
from scheduler.storage.failure_journal import PAUSE, RETRY, WAITING, FailureJournal
from tests.fakes import NOON, FakeClock, until

DAY = "memory/raw/2026/03/02.json"


def events(home: Path) -> list[dict]:
    file = home / DAY
    return json.loads(file.read_text()) if file.exists() else []


def types(home: Path) -> list[tuple[str, str]]:
    return [(event["type"], event["task"]) for event in events(home) if "task" in event]


def event(task: str = "tick", outcome: Outcome = Outcome.FAILED, text: str = "no", at: float = NOON) -> Event:
    return Event(1, at, "finished", "opus", task, outcome, text)


def task(name: str, handler, **more) -> Task:
    return Task(name, Every(3600), Call(handler), **more)


@pytest.fixture(autouse=True)
def _writes_cost_nothing(monkeypatch):
    monkeypatch.setattr(module, "SHARE", 0)  # of a clock that is advanced while a real disk works


@pytest.fixture
def journal(home, clock: FakeClock) -> FailureJournal:
    made = FailureJournal("opus", home, clock)
    made.begin()
    return made


async def written(home: Path, clock: FakeClock, count: int) -> list[dict]:
    await clock.advance(PAUSE)
    await until(lambda: len(events(home)) >= count, f"{count} events are written")
    return events(home)


def writing() -> bool:
    return any(task.get_name() == "opus/failure journal" for task in asyncio.all_tasks())


async def idle() -> None:
    await until(lambda: not writing(), "the write is over")


# ------------------------------------------------------------------ through the scheduler


async def test_failures_and_warnings_are_recorded_and_successes_cost_nothing(build, home, clock):
    async def fails(context):
        raise TaskFailed("Connection timeout\nmore")

    async def warns(context):
        return Report("disk 90%", warning=True)

    async def fine(context):
        return "fine"

    await build(task("news_scan", fails), task("heartbeat", warns), task("tidy", fine))
    found = await written(home, clock, 2)
    assert {(each["type"], each["content"]) for each in found} == {
        ("task_failed", "news_scan: Connection timeout\nmore"),
        ("task_warning", "heartbeat: disk 90%"),
    }
    assert found[0]["time"] == "2026-03-02T12:00:00+00:00"
    assert {each["outcome"] for each in found} == {"failed", "warning"}


async def test_runs_interrupted_by_a_crash_or_a_shutdown_are_recorded(build, home, clock):
    async def waits(context):
        await asyncio.Event().wait()

    dead = Running(pid=999_999, born=1.0, since=NOON - 60)
    scheduler = await build(task("slow", waits), states={"slow": TaskState(last_run=NOON - 60, running=dead)})
    await written(home, clock, 1)
    await scheduler.force("slow")
    scheduler.stop_now()
    await scheduler.stop(0)
    contents = [each["content"] for each in events(home) if each["type"] == "task_interrupted"]
    assert contents == [
        "slow: the scheduler died during this run",
        "slow: interrupted: the scheduler was shut down",
    ]


async def test_timeouts_are_recorded(build, home, clock):
    async def waits(context):
        await asyncio.Event().wait()

    await build(task("slow", waits, timeout=5))
    await clock.advance(5)
    (found,) = await written(home, clock, 1)
    assert (found["type"], found["content"]) == ("task_timed_out", "slow: timed out after 5s")


async def test_what_still_waits_is_written_at_the_end(build, home, clock):
    async def fails(context):
        raise TaskFailed("no")

    scheduler = await build(task("news_scan", fails))
    await clock.advance(0.1)
    assert scheduler.snapshot().task("news_scan").error.text == "no"
    assert events(home) == []
    await scheduler.stop(0)
    assert types(home) == [("task_failed", "news_scan")]


# ------------------------------------------------------------------ bounds


async def test_every_failure_of_a_task_is_an_event(journal, home, clock):
    for number in range(3):
        journal.trouble(event(text=f"failure {number}", at=NOON + number))
    assert [each["content"] for each in await written(home, clock, 3)] == [
        f"tick: failure {number}" for number in range(3)
    ]
    await journal.close()


async def test_a_disk_that_is_slow_is_left_alone_for_longer(journal, home, clock, monkeypatch):
    monkeypatch.setattr(module, "SHARE", 100)
    write = module.append_events

    def slow(*given):
        clock.monotonic += 1
        return write(*given)

    monkeypatch.setattr(module, "append_events", slow)
    journal.trouble(event("a"))
    await written(home, clock, 1)
    await idle()
    journal.trouble(event("b"))
    await clock.advance(99)
    assert not writing() and len(events(home)) == 1
    await clock.advance(1)
    await until(lambda: len(events(home)) == 2, "the second is written")
    await journal.close()


async def test_what_comes_while_a_write_ends_is_written_too(journal, home, clock, monkeypatch):
    held, write = threading.Event(), module.append_events

    def slow(*given):
        held.wait(8)
        return write(*given)

    monkeypatch.setattr(module, "append_events", slow)
    journal.trouble(event("first"))
    await clock.advance(PAUSE)
    journal.trouble(event("second"))
    held.set()
    await idle()
    await written(home, clock, 2)
    journal.trouble(event("third"))
    await idle()
    await written(home, clock, 3)
    await journal.close()


async def test_long_words_are_cut(journal, home):
    journal.trouble(event(text="x" * 100_000))
    await journal.close()
    assert len(events(home)[0]["content"]) < 600


async def test_a_batch_is_one_write_and_days_stay_apart(journal, home, clock, monkeypatch):
    calls = []
    write = module.append_events

    def counted(*given):
        calls.append(threading.current_thread())
        return write(*given)

    monkeypatch.setattr(module, "append_events", counted)
    for number in range(100):
        journal.trouble(event(f"t{number}"))
    journal.trouble(event("tomorrow", at=NOON + 86400))
    await written(home, clock, 100)
    await journal.close()
    assert len(calls) == 2 and threading.main_thread() not in calls
    assert len(json.loads((home / "memory/raw/2026/03/03.json").read_text())) == 1


async def test_a_failing_disk_is_tried_again_and_nothing_is_recorded_twice(
    journal, home, clock, monkeypatch, caplog
):
    write, full, tries = module.append_events, [True], [0]

    def refuse(*given):
        tries[0] += 1
        if full[0]:
            raise OSError(28, "No space left on device")
        return write(*given)

    monkeypatch.setattr(module, "append_events", refuse)
    journal.trouble(event("a"))
    await clock.advance(PAUSE)
    await until(lambda: "events not recorded yet" in caplog.messages, "the failure is logged")
    journal.trouble(event("b"))
    await clock.advance(RETRY)
    await until(lambda: tries[0] == 2 and clock.waiting, "it is tried again")
    full[0] = False
    await clock.advance(RETRY)
    await until(lambda: len(events(home)) == 2, "both are written")
    await journal.close()
    assert [each["task"] for each in events(home)] == ["a", "b"]
    caplog.set_level(logging.INFO)
    assert caplog.messages.count("events not recorded yet") == 1


async def test_what_is_in_its_place_but_not_durable_is_not_recorded_twice(journal, home, clock, monkeypatch):
    def broken(place):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("scheduler.system.foreign_home.Place.sync_folder", broken)
    journal.trouble(event("a"))
    await clock.advance(PAUSE)
    await until(lambda: (home / "memory").exists() and events(home), "it is there")
    monkeypatch.undo()
    await journal.close()
    assert [each["task"] for each in events(home)] == ["a"]


async def test_a_disk_that_never_takes_them_costs_no_memory_and_the_loss_is_said(
    journal, clock, monkeypatch, caplog
):
    def refuse(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "append_events", refuse)
    for number in range(WAITING + 50):
        journal.trouble(event(f"t{number}"))
    await clock.advance(PAUSE)
    await until(lambda: "events lost" in caplog.messages, "the loss is said")
    await journal.close()
    left = next(record for record in caplog.records if record.message == "events not recorded")
    assert left.events == WAITING and left.levelno == logging.ERROR
    assert next(record for record in caplog.records if record.message == "events lost").events == 50


async def test_a_disk_that_hangs_holds_up_neither_the_loop_nor_the_end(journal, clock, monkeypatch, caplog):
    hold = threading.Event()

    def hang(*given):
        hold.wait(8)
        return 1

    monkeypatch.setattr(module, "append_events", hang)
    monkeypatch.setattr(module, "CLOSING", 0.1)
    journal.trouble(event())
    await clock.advance(PAUSE)
    began = asyncio.get_running_loop().time()
    journal.trouble(event("b"))
    await journal.close()
    assert asyncio.get_running_loop().time() - began < 2
    assert "events not recorded" in caplog.messages
    hold.set()


async def test_a_day_that_is_no_day_is_set_aside(journal, home):
    (home / DAY).parent.mkdir(parents=True)
    (home / DAY).write_text("half a fi")
    journal.trouble(event())
    await journal.close()
    assert len(events(home)) == 1
    assert len(list((home / DAY).parent.glob("02.json.corrupt-*"))) == 1
