"""Who asked for a run or a verb: in events, in the history, and over a restart."""

from dataclasses import replace
from typing import Any

from scheduler.core.records import FinishedRun, Forgetful
from scheduler.core.state import TaskState
from scheduler.process.who import Who, this_process
from tests.fakes import NOON
from tests.unit.engine.test_engine import Gate, task

CT, MIRA = Who("ct", "experience-tui", 4711), Who("mira", "python3", 12)


class Remembering(Forgetful):
    """Keeps the runs that ended."""

    def __init__(self) -> None:
        self.ended: list[FinishedRun] = []

    def record(self, run: FinishedRun) -> None:
        self.ended.append(run)


def asked(scheduler: Any) -> list[tuple[str, Who | None]]:
    return [(event.kind, event.who) for event in scheduler.snapshot().events]


async def test_a_forced_run_carries_who_forced_it_and_a_scheduled_one_none(build, clock, noting):
    runs = Remembering()
    scheduler = await build(noting(), recorder=runs)
    await clock.advance()
    await scheduler.force("tick", who=CT)
    await clock.advance(600)
    assert [run.who for run in runs.ended] == [None, CT, None, None]
    assert asked(scheduler)[:4] == [("started", None), ("finished", None), ("started", CT), ("finished", CT)]


async def test_without_a_socket_in_between_it_is_the_user_of_this_process(build, clock, noting):
    scheduler = await build(noting())
    await scheduler.pause("tick")
    assert asked(scheduler) == [("paused", this_process())]


async def test_each_verb_says_who(build, clock, noting):
    scheduler = await build(noting(schedule=None), task("busy", Gate(), every=9000, priority=1), workers=1)
    await clock.advance()
    before = len(asked(scheduler))
    for verb in ("pause", "resume", "reset", "force"):
        await getattr(scheduler, verb)("tick", who=CT)
    await scheduler.force("busy", again=True, who=MIRA)
    await scheduler.stop_run("tick", who=CT)
    kinds = ("paused", "resumed", "reset", "forced")
    assert asked(scheduler)[before:] == [*((kind, CT) for kind in kinds), ("forced", MIRA), ("taken out", CT)]


async def test_a_run_after_a_reset_is_of_who_reset_it(build, clock, noting):
    runs = Remembering()
    scheduler = await build(noting(), recorder=runs)
    await clock.advance()
    await scheduler.reset("tick", who=CT)
    await clock.advance(1)
    assert [run.who for run in runs.ended] == [None, CT]


async def test_of_many_who_force_a_waiting_task_the_first_made_it_run(build, clock, noting):
    runs, gate = Remembering(), Gate()
    scheduler = await build(task("busy", gate, every=9000, priority=1), noting(), workers=1, recorder=runs)
    await clock.advance()
    await scheduler.force("tick", who=CT)
    await scheduler.force("tick", who=MIRA)
    gate.open.set()
    await clock.advance(1)
    assert [(run.task, run.who) for run in runs.ended] == [("busy", None), ("tick", CT)]


async def test_who_forced_it_survives_a_restart(build, clock, noting):
    runs = Remembering()
    waiting = TaskState(last_run=NOON - 10, first_seen=NOON - 10).asked_for(CT)
    scheduler = await build(noting(), states={"tick": waiting}, recorder=runs)
    await clock.advance(1)
    assert [run.who for run in runs.ended] == [CT]
    assert replace(scheduler.snapshot().task("tick"), text="").run_count == 1
