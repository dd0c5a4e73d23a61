"""Stopping a wake: in its turn it is a stopped wake, before it there was none; and who asked for one."""

import json
import threading
from typing import Any

import pytest

from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Call, Command, Outcome, Report, WakeTask
from scheduler.engine.paid.run_costs import RunCosts
from scheduler.errors import NotRunning
from scheduler.process.who import Who
from tests.fakes import NOON, until
from tests.unit.engine.test_engine import Gate, task
from tests.unit.engine.test_who import CT, Remembering
from tests.unit.engine.wake.test_wake import awake, metadata


async def test_a_stopped_wake_keeps_its_number_is_no_failure_and_not_retried(build, clock, home):
    gate, runs = Gate(), Remembering()
    scheduler = await build(wake=WakeTask(schedule=Every(600), work=Call(gate)), recorder=runs)
    await clock.advance()
    await until(lambda: gate.inside, "it is awake")
    await clock.advance(60)
    receipt = await scheduler.stop_run("wake", who=CT)
    assert receipt.text in ("wake: stopped", "wake: stopping")
    await awake(clock, scheduler, 1)
    (run,) = runs.ended
    assert (run.task, run.outcome, run.text) == ("wake", Outcome.STOPPED, "stopped by ct")
    assert run.stopped_by == CT
    (entry,) = json.loads((home / "wake_log.json").read_text())["wakes"]
    assert (entry["outcome"], entry["text"], metadata(home)["wake_count"]) == ("stopped", "stopped by ct", 1)
    assert (scheduler.snapshot().wake.error, scheduler.snapshot().wake.due) == ("", NOON + 600)
    with pytest.raises(NotRunning):
        await scheduler.stop_run("wake", who=CT)
    await clock.advance(539)
    assert gate.entered == 1
    await clock.advance(1)
    await until(lambda: gate.entered == 2, "the next one comes at its time")


async def test_a_whole_wake_is_skipped_once_its_scheduler_has_stopped(build, clock):
    gate = Gate()
    scheduler = await build(wake=WakeTask(schedule=Every(600), work=Call(gate)))
    await scheduler.stop(0)
    assert await scheduler.wake_and_wait() is Outcome.SKIPPED
    assert gate.entered == 0


async def test_a_wake_that_waits_for_due_tasks_does_not_come_to_its_turn(build, clock, home):
    turn, chore, runs = Gate(), Gate(), Remembering()
    wake = WakeTask(schedule=Every(600), work=Call(turn))
    scheduler = await build(task("chore", chore, every=9000), wake=wake, recorder=runs)
    await clock.advance(60)
    assert (chore.inside, turn.entered) == (1, 0)
    receipt = await scheduler.stop_run("wake", who=CT)
    assert (receipt.text, receipt.run) == ("wake: was waiting; will not run", 0)
    await until(lambda: scheduler.snapshot().wake.running_since is None, "it is over")
    assert chore.inside == 1, "what it waited for goes on"
    chore.open.set()
    await clock.advance(600 - 61)
    assert (turn.entered, scheduler.snapshot().wake.count) == (0, 0)
    await clock.advance(61)
    await until(lambda: turn.entered == 1, "the next one comes")
    assert [(run.task, run.outcome) for run in runs.ended] == [
        ("wake", Outcome.STOPPED),
        ("chore", Outcome.OK),
    ]


async def test_a_wake_that_has_ended_and_is_being_settled_cannot_be_stopped(build, clock, home, monkeypatch):
    """Its cost is on its way, and it does not count as stopped."""
    settling, go_on, settle = threading.Event(), threading.Event(), RunCosts.settle

    def slowly(*given: Any, **named: Any) -> Any:
        settling.set()
        go_on.wait(20)
        return settle(*given, **named)

    monkeypatch.setattr(RunCosts, "settle", slowly)
    done = Command(("echo", '{"type":"result","subtype":"success","total_cost_usd":0.4}'))
    scheduler = await build(wake=WakeTask(schedule=Every(600), work=done, report="claude"))
    await clock.advance()
    await until(settling.is_set, "its program has ended")
    with pytest.raises(NotRunning, match="wake has just ended by itself"):
        await scheduler.stop_run("wake", who=CT)
    go_on.set()
    await awake(clock, scheduler, 1)
    (entry,) = json.loads((home / "wake_log.json").read_text())["wakes"]
    assert (entry["outcome"], entry["cost_usd"]) == ("ok", "0.4")


async def test_a_wake_by_hand_is_of_who_asked_and_an_urgent_one_of_the_task(build, clock, home):
    async def mail(context: Any) -> Report:
        return Report("2 from ct", urgent=True)

    async def turn(context: Any) -> str:
        return "read"

    runs = Remembering()
    wake = WakeTask(schedule=Every(7200), work=Call(turn))
    scheduler = await build(task("mail", mail, every=3600), wake=wake, recorder=runs)
    await clock.advance()
    await awake(clock, scheduler, 1)
    await scheduler.wake(who=CT)
    await awake(clock, scheduler, 2)
    await clock.advance(3600)
    await awake(clock, scheduler, 3)
    by = [run.who for run in runs.ended if run.task == "wake"]
    assert CT in by and Who(run="task mail") in by
