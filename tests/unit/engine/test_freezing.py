"""A frozen citizen: nothing of it is started, and afterwards everything goes on, with the slots it wanted."""

import asyncio
import json
from typing import Any

import pytest

from scheduler.core.schedules.freeze import Freeze
from scheduler.core.schedules.schedule import Cron, Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Command, Outcome, Task, Trigger, WakeTask
from scheduler.engine.wake.wake import HELD_CHECK
from scheduler.errors import PROGRAM, BadSchedule, Frozen
from scheduler.process.who import Who
from scheduler.storage.freeze_file import HomeFreezes
from scheduler.storage.state_store import RunStart, Store
from tests.fakes import NOON, Gate, settle, until

HOUR = 3600.0
CT, MK = Who("ct"), Who("mk")
RAN = {"tick": TaskState(last_run=NOON - 1800, slot=NOON - 1800, run_count=1)}
HOURLY = Cron("30 * * * *")


def kinds(scheduler: Any) -> list[tuple[str, str]]:
    events = scheduler.snapshot().events
    return [(event.kind, str(event.who or "")) for event in events if event.kind in ("frozen", "thawed")]


async def test_nothing_starts_until_it_is_thawed(build, clock, noting, runs):
    scheduler = await build(noting())
    await clock.advance(1)
    receipt = await scheduler.freeze(why="invoices", who=CT)
    assert (receipt.text, receipt.saved) == ("opus: frozen by ct: invoices", True)
    await clock.advance(hours=2)
    assert runs == [NOON]
    assert scheduler.snapshot().freeze == Freeze(NOON + 1, None, "ct", "invoices")
    assert (await scheduler.thaw(who=MK)).text == "opus: thawed"
    await clock.advance(1)
    assert runs == [NOON, NOON + 2 * HOUR + 1]
    assert kinds(scheduler) == [("frozen", "ct"), ("thawed", "mk")]
    assert scheduler.snapshot().freeze is None


async def test_it_ends_by_itself(build, clock, noting, runs):
    scheduler = await build(noting(schedule=Every(60)))
    await clock.advance(1)
    await scheduler.freeze(until=NOON + HOUR, who=CT)
    await clock.advance(60)
    assert await scheduler.run_due_once(0) == []
    (row,) = scheduler.snapshot().tasks
    assert row.due == NOON + HOUR
    await clock.advance(HOUR - 62)
    assert runs == [NOON]
    await clock.advance(2)
    assert runs == [NOON, NOON + HOUR]
    assert kinds(scheduler) == [("frozen", "ct"), ("thawed", "")]


async def test_what_another_process_writes_counts_before_the_next_start(build, clock, noting, runs, home):
    await build(noting(schedule=Every(1)))
    await clock.advance(10)
    HomeFreezes(home).own.freeze(Freeze(clock.now(), None, "ct"))
    before = len(runs)
    await clock.advance(60)
    assert len(runs) - before <= 1 and runs[-1] <= NOON + 11


async def test_a_freeze_of_all_citizens_counts_too_and_only_all_are_thawed(build, clock, noting, runs, home):
    both = HomeFreezes(home)
    both.root.freeze(Freeze(NOON, None, "ct"))
    scheduler = await build(noting(schedule=Every(1)))
    await clock.advance(60)
    assert runs == []
    with pytest.raises(Frozen, match=r"opus is still frozen with all citizens by ct; thaw all citizens: "):
        await scheduler.thaw()
    with pytest.raises(Frozen, match=rf"thaw it first: {PROGRAM} thaw$"):
        await scheduler.force("tick")
    both.root.thaw(clock.now())
    scheduler.reload_if_edited()
    await clock.advance(1)
    assert len(runs) >= 1


async def test_force_and_wake_say_how_to_thaw(build, clock, noting, runs):
    scheduler = await build(noting())
    await scheduler.freeze(until=NOON + HOUR, why="invoices", who=CT)
    said = rf"opus is frozen until .* by ct: invoices; thaw it first: {PROGRAM} thaw opus"
    for verb in (scheduler.force("tick"), scheduler.wake()):
        with pytest.raises(Frozen, match=said):
            await verb
    await clock.advance(60)
    assert runs == []


async def test_what_waits_for_a_worker_does_not_start(build, clock, noting, runs):
    hold = Gate()
    first = Task("first", Every(10 * HOUR), Call(hold), priority=1)
    scheduler = await build(first, noting(priority=2), workers=1)
    await clock.advance(1)
    waiting = asyncio.ensure_future(scheduler.wait("tick", 1))
    await settle()
    await scheduler.freeze(who=CT)
    with pytest.raises(Frozen):
        await waiting
    hold.open.set()
    await clock.advance(60)
    assert runs == []
    await scheduler.thaw()
    await clock.advance(1)
    assert [name for name, _ in runs] == ["tick"]


async def test_what_waits_does_not_start_when_another_process_freezes(build, clock, noting, runs, home):
    hold = Gate()
    first = Task("first", Every(10 * HOUR), Call(hold), priority=1)
    scheduler = await build(first, noting(priority=2), workers=1)
    await clock.advance(1)
    HomeFreezes(home).own.freeze(Freeze(clock.now(), None, "ct"))
    hold.open.set()
    await settle()
    assert runs == [] and not scheduler.snapshot().task("tick").queued


class Writing(Store):
    """Writes as many times as it may, and then waits; `fenced` as where the database has to allow a start."""

    def __init__(self, fenced: bool, times: int) -> None:
        super().__init__()
        self.fenced, self.goes_on, self.left, self.put_back = fenced, asyncio.Event(), times, []

    async def written(self) -> bool:
        self.left -= 1
        return self.left >= 0 or await self.goes_on.wait()

    async def started(self, start: RunStart) -> dict[str, str]:
        await self.written()
        return {}

    def withdrawn(self, task: str) -> None:
        self.put_back.append(task)


async def test_what_waits_for_its_record_does_not_begin_once_it_is_held_and_is_due_as_before(
    build, clock, noting, runs
):
    """The database or a disk may take seconds to answer, and a start was asked for before the freeze."""
    program = Task("tick", Every(300), Command(("touch", "ran")))
    for fenced, times, task in ((False, 0, noting()), (True, 0, noting()), (False, 1, program)):
        for verb, after in (("freeze", "thaw"), ("pause", "resume")):
            store = Writing(fenced, times)
            scheduler = await build(task, store=store)
            await clock.advance(1)
            await until(lambda store=store: store.left < 0, "it waits")
            given = () if verb == "freeze" else ("tick",)
            await getattr(scheduler, verb)(*given)
            store.goes_on.set()
            await until(
                lambda scheduler=scheduler: not scheduler.snapshot().tasks[0].running_since, "put back"
            )
            await clock.advance(600)
            assert runs == [] and not (build.home / "ran").exists(), (verb, fenced)
            assert scheduler.snapshot().tasks[0].outcome is None
            assert store.put_back == (["tick"] if fenced else [])
            await getattr(scheduler, after)(*given)
            await clock.advance(1)
            await until(lambda scheduler=scheduler: scheduler.snapshot().tasks[0].run_count == 1, "it ran")
            await scheduler.stop(0)
            runs.clear()
            (build.home / "ran").unlink(missing_ok=True)
            (build.home / ".experience" / "freeze.json").unlink(missing_ok=True)


async def test_a_force_that_waits_runs_after_the_thaw_once(build, clock, noting, runs):
    scheduler = await build(noting(schedule=HOURLY), states=dict(RAN), workers=0)
    await scheduler.force("tick")
    await scheduler.freeze(who=CT)
    scheduler._dispatch.limit = 1
    await clock.advance(60)
    assert runs == []
    await scheduler.thaw()
    await clock.advance(600)
    assert runs == [NOON + 60]
    started = [event.trigger for event in scheduler.snapshot().events if event.kind == "started"]
    assert started == [Trigger.FORCE]


async def test_once_more_after_a_run_waits_for_the_thaw(build, clock, runs):
    gates = [asyncio.Event(), asyncio.Event()]

    async def hold(context: Any) -> str:
        runs.append(clock.now())
        await gates[len(runs) - 1].wait()
        return "held"

    scheduler = await build(Task("tick", Every(10 * HOUR), Call(hold)))
    await clock.advance(1)
    await scheduler.force("tick", again=True)
    await scheduler.freeze(who=CT)
    gates[0].set()
    await clock.advance(60)
    assert len(runs) == 1 and not scheduler.snapshot().task("tick").queued
    await scheduler.thaw()
    await clock.advance(60)
    assert len(runs) == 2
    gates[1].set()
    await clock.advance(60)
    assert len(runs) == 2


async def test_slots_in_it_are_not_missed_and_one_that_waited_is_due(build, clock, noting, runs):
    hourly = noting(schedule=HOURLY)
    scheduler = await build(hourly, states=dict(RAN))
    await scheduler.freeze(who=CT)
    await clock.advance(hours=3)
    await scheduler.thaw()
    await clock.advance(hours=1)
    assert runs == [NOON + 3.5 * HOUR]


async def test_an_owner_that_was_not_there_knows_what_was_not_wanted(build, clock, noting, runs, home):
    file = HomeFreezes(home).own
    file.freeze(Freeze(NOON - 3 * HOUR))
    file.thaw(NOON)
    ran = TaskState(last_run=NOON - 3.5 * HOUR, slot=NOON - 3.5 * HOUR, run_count=1)
    await build(noting(schedule=HOURLY), states={"tick": ran})
    await clock.advance(60)
    assert runs == []  # 9:30, 10:30 and 11:30 were frozen
    await clock.advance(hours=1)
    assert runs == [NOON + 1800]


async def test_slots_after_it_are_missed_where_no_owner_was_there(build, clock, noting, runs, home):
    file = HomeFreezes(home).own
    file.freeze(Freeze(NOON - 3 * HOUR))
    file.thaw(NOON - 1.75 * HOUR)
    ran = TaskState(last_run=NOON - 3.5 * HOUR, slot=NOON - 3.5 * HOUR, run_count=1)
    await build(noting(schedule=HOURLY), states={"tick": ran})
    await clock.advance(60)
    assert runs == [NOON]  # once, for 10:30 and 11:30


async def test_it_lasts_over_a_restart(build, clock, noting, runs):
    first = await build(noting())
    await clock.advance(1)
    await first.freeze(until=NOON + HOUR, why="invoices", who=CT)
    await first.stop(0)
    await clock.advance(60)
    again = await build(noting(), states=first._registry.states)
    assert again.snapshot().freeze == Freeze(NOON + 1, NOON + HOUR, "ct", "invoices")
    await clock.advance(HOUR - 62)
    assert runs == [NOON]
    await clock.advance(2)
    assert runs == [NOON, NOON + HOUR]


async def test_what_cannot_be_read_starts_nothing_and_says_so(build, clock, noting, runs, home):
    path = HomeFreezes(home).own.path
    path.parent.mkdir(exist_ok=True)
    path.write_text("{")
    scheduler = await build(noting())
    await clock.advance(hours=1)
    assert runs == []
    shown = scheduler.snapshot()
    why = "is not readable as a freeze: to be safe nothing is started until it is thawed"
    assert shown.problems == (f"{path} {why}",)
    assert shown.freeze.problem == shown.problems[0]
    await scheduler.thaw()
    await clock.advance(1)
    assert runs == [NOON + HOUR] and scheduler.snapshot().problems == ()


async def test_where_it_cannot_be_written_it_holds_in_this_process(build, clock, noting, runs, monkeypatch):
    scheduler = await build(noting(schedule=Every(1)))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scheduler.storage.freeze_file.replace_file", full)
    receipt = await scheduler.freeze(who=CT)
    assert not receipt.saved and receipt.text.endswith("; done, not saved: No space left on device")
    await clock.advance(60)
    assert runs == []
    monkeypatch.undo()
    await scheduler.thaw()
    await clock.advance(1)
    assert runs


async def test_an_end_that_has_passed_is_refused(build, noting):
    scheduler = await build(noting())
    with pytest.raises(BadSchedule, match="opus: the freeze would end before it begins"):
        await scheduler.freeze(until=NOON)


async def test_a_second_freeze_has_its_own_end_and_reason(build, clock, noting, runs):
    scheduler = await build(noting(schedule=Every(60)))
    await scheduler.freeze(until=NOON + HOUR, who=CT)
    await scheduler.freeze(until=NOON + 600, why="sooner", who=MK)
    assert scheduler.snapshot().freeze == Freeze(NOON, NOON + 600, "mk", "sooner")
    await clock.advance(601)
    assert runs[0] == NOON + 600


async def test_the_clock_set_forward_ends_it_and_set_back_leaves_its_length(build, clock, noting, runs, home):
    scheduler = await build(noting(schedule=Every(60)))
    await scheduler.freeze(until=NOON + HOUR, who=CT)
    await clock.jump(-24 * HOUR)
    await until(lambda: scheduler.snapshot().freeze.since == clock.now(), "it begins now")
    await clock.advance(HOUR - 1)
    assert runs == []
    await clock.advance(2)
    assert len(runs) == 1
    await scheduler.freeze(until=clock.now() + HOUR, who=CT)
    await clock.jump(2 * HOUR)
    await clock.advance(1)
    assert len(runs) == 2


async def test_a_pause_and_a_reset_work_while_it_is_frozen(build, clock, noting, runs):
    scheduler = await build(noting())
    await scheduler.freeze(who=CT)
    await scheduler.reset("tick")
    await scheduler.pause("tick", until=NOON + 60)
    await clock.advance(600)
    assert runs == []
    await scheduler.thaw()
    await clock.advance(1)
    assert runs == [NOON + 600]


async def test_a_run_under_way_goes_on(build, clock, runs):
    hold = Gate()
    scheduler = await build(Task("tick", Every(60), Call(hold)))
    await clock.advance(1)
    await scheduler.freeze(who=CT)
    await clock.advance(120)
    hold.open.set()
    await clock.advance(1)
    (row,) = scheduler.snapshot().tasks
    assert row.outcome is Outcome.OK and row.run_count == 1
    await clock.advance(600)
    assert scheduler.snapshot().tasks[0].run_count == 1


# ------------------------------------------------------------------ wakes


def waking(wakes: list[float], clock: Any) -> WakeTask:
    return WakeTask(schedule=Every(HOUR), work=Call(lambda context: wakes.append(clock.now())))


async def test_wakes_follow(build, clock):
    wakes: list[float] = []
    scheduler = await build(wake=waking(wakes, clock))
    await clock.advance()
    await until(lambda: len(wakes) == 1 and scheduler.snapshot().wake.running_since is None, "the first wake")
    await scheduler.freeze(until=clock.now() + 3 * HOUR, who=CT)
    assert scheduler.snapshot().wake.due == clock.now() + 3 * HOUR
    for verb in (scheduler.wake(), scheduler.force("wake")):
        with pytest.raises(Frozen):
            await verb
    scheduler._wakes().urgent(Who(run="task mail"))
    await clock.advance(3 * HOUR - 1)
    assert len(wakes) == 1
    await clock.advance(2)
    await until(lambda: len(wakes) == 2, "it wakes when the freeze is over")


async def test_a_wake_that_waits_for_its_tasks_does_not_get_its_turn(build, clock):
    wakes: list[float] = []
    hold = Gate()
    slow = Task("slow", Every(10 * HOUR), Call(hold))
    scheduler = await build(slow, wake=waking(wakes, clock))
    await clock.advance()
    await until(lambda: scheduler.snapshot().wake.running_since is not None, "the wake waits for slow")
    await scheduler.freeze(who=CT)
    hold.open.set()
    await until(lambda: scheduler.snapshot().wake.running_since is None, "the wake is over")
    assert wakes == []
    await scheduler.thaw()
    await clock.advance(HELD_CHECK)
    await until(lambda: len(wakes) == 1, "it wakes after the thaw")


async def test_a_wake_whose_program_waits_for_its_record_is_taken_back_and_comes_after_the_thaw(
    build, clock, noting
):
    given = Command(("sh", "-c", "cat > letter; echo $EXPERIENCE_WAKE >> woken"))
    scheduler = await build(
        noting(), store=(store := Writing(False, 2)), wake=WakeTask(schedule=Every(HOUR), work=given)
    )
    await clock.advance()
    await until(lambda: store.left < 0, "its program waits")
    await scheduler.freeze(who=CT)
    store.goes_on.set()
    await until(lambda: scheduler.snapshot().wake.running_since is None, "it is taken back")
    assert not (build.home / "woken").exists() and scheduler.snapshot().wake.count == 0
    assert [each.task for each in scheduler.results()] == ["tick"]
    await scheduler.thaw()
    await clock.advance(HELD_CHECK)
    await until(lambda: scheduler.snapshot().wake.count == 1, "it wakes after the thaw")
    assert (build.home / "woken").read_text() == "1\n"
    assert json.loads((build.home / "letter").read_text())["results"][0]["task"] == "tick"


async def test_a_wake_by_hand_of_a_frozen_citizen_is_skipped_with_the_reason(build, clock, home):
    HomeFreezes(home).own.freeze(Freeze(NOON, None, "ct", "invoices"))
    wakes: list[float] = []
    scheduler = await build(wake=waking(wakes, clock))
    assert await scheduler.wake_and_wait() is Outcome.SKIPPED
    assert wakes == []
    assert any("frozen by ct: invoices" in event.text for event in scheduler.snapshot().events)
