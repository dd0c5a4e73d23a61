"""What runs when, in fake time: a day of schedule takes milliseconds."""

import asyncio
import contextlib
import weakref
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.core.schedules.schedule import AtStart, Cron, Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Outcome, Report, Task, Trigger, WakeTask
from scheduler.core.task import NotSetUp as Nothing
from scheduler.core.views import TaskStatus
from scheduler.errors import AlreadyRunning, NotSetUp, Stopping, TaskFailed, UnknownTask
from scheduler.process.process_info import Running
from scheduler.storage.state_store import Store
from tests.each import each
from tests.fakes import NOON, Gate, state_of, until


def task(name: str, handler: Any, every: float = 300, **more: Any) -> Task:
    return Task(name, more.pop("schedule", Every(every)), Call(handler), **more)


async def test_a_task_that_never_ran_runs_at_once_then_every_interval(build, clock, noting, runs):
    await build(noting())
    await clock.advance(minutes=11)
    assert runs == [NOON, NOON + 300, NOON + 600]


async def test_a_cron_task_runs_first_at_its_first_slot_after_it_was_first_seen(build, clock, noting, runs):
    await build(noting(schedule=Cron("30 12 * * *")))
    await clock.advance(hours=25)
    assert runs == [NOON + 1800, NOON + 1800 + 86400]


async def test_a_cron_task_first_seen_before_a_restart_has_not_missed_its_slot(build, clock, noting, runs):
    await build(noting(schedule=Cron("0 11 * * *")), states={"tick": TaskState(first_seen=NOON - 7200)})
    await clock.advance(1)
    assert runs == [NOON]


async def test_a_late_process_runs_a_missed_task_once(build, clock, noting, runs):
    scheduler = await build(noting(), states={"tick": TaskState(last_run=NOON - 10 * 300 - 7, run_count=5)})
    await clock.advance(minutes=4)
    assert runs == [NOON]
    started = next(event for event in scheduler.snapshot().events if event.kind == "started")
    assert started.trigger is Trigger.CATCH_UP
    assert started.late == 9 * 300 + 7


async def test_a_forced_run_is_not_late_although_its_time_has_come(build, clock, noting):
    gate = Gate()
    scheduler = await build(task("slow", gate, priority=1), noting("a"), noting("b"), workers=1)
    await clock.advance(108)
    await scheduler.force("b")
    gate.open.set()
    await clock.advance()
    started = {event.task: event for event in scheduler.snapshot().events if event.kind == "started"}
    assert (started["b"].trigger, started["b"].late) == (Trigger.FORCE, 0.0)
    assert started["a"].late == 108  # it waited for the worker


async def test_without_catch_up_a_missed_interval_waits_for_its_next_beat(build, clock, noting, runs):
    await build(noting(catch_up=False), states={"tick": TaskState(last_run=NOON - 700)})
    await clock.advance(minutes=5)
    assert runs == [NOON + 200]


async def test_without_catch_up_a_missed_cron_slot_is_skipped(build, clock, noting, runs):
    states = {"tick": TaskState(last_run=NOON - 86400 - 3600)}
    await build(noting(schedule=Cron("0 11 * * *"), catch_up=False), states=states)
    await clock.advance(hours=24)
    assert runs == [NOON + 23 * 3600]


async def test_the_interval_counts_from_the_persisted_last_run_not_from_the_start(build, clock, noting, runs):
    await build(noting(), states={"tick": TaskState(last_run=NOON - 100)})
    await clock.advance(minutes=4)
    assert runs == [NOON + 200]


@each(("late", "moved"), [(0.05, 0), (7, 7)])
async def test_only_a_start_that_is_truly_late_moves_the_next_one(build, clock, noting, runs, late, moved):
    gate = Gate()
    await build(task("first", gate, every=1000, priority=1), noting(priority=2), workers=1)
    await clock.advance(late)
    gate.open.set()
    await clock.advance(minutes=11)
    assert [when for _, when in runs] == [NOON + late, NOON + 300 + moved, NOON + 600 + moved]


async def test_a_last_run_in_the_future_counts_as_now(build, clock, noting, runs):
    await build(noting(), states={"tick": TaskState(last_run=NOON + 86400)})
    await clock.advance(minutes=6)
    assert runs == [NOON + 300]


async def test_a_clock_set_back_does_not_silence_a_task(build, clock, noting, runs):
    await build(noting())
    await clock.advance(10)
    await clock.jump(-7200)
    await clock.advance(301)
    assert len(runs) == 2


async def test_a_clock_that_is_corrected_does_not_run_a_cron_slot_again(build, clock, noting, runs):
    await build(noting(schedule=Cron("* * * * *")))
    await clock.advance(60.2)
    assert runs == [NOON + 60]
    await clock.jump(-0.7)  # 0.5 s before the slot that ran
    await clock.advance(30)
    assert runs == [NOON + 60]
    await clock.advance(40)
    assert len(runs) == 2


async def test_a_clock_that_is_corrected_between_a_slot_and_its_start_does_not_run_it_again(
    build, clock, runs
):
    async def corrects(context):
        runs.append(clock.now())
        clock.wall -= 0.5  # the second task is started by a clock that has not reached its slot

    tasks = [task(name, corrects, schedule=Cron("* * * * *")) for name in ("first", "second")]
    await build(*tasks, workers=1)
    await clock.advance(90)
    assert len(runs) == 2


async def test_a_reset_serves_a_slot_that_waited_for_its_jitter_also_if_the_clock_is_corrected(
    build, clock, noting, runs
):
    states = {"tick": TaskState(first_seen=NOON - 3 * 86400, last_run=NOON - 3600)}
    scheduler = await build(noting(schedule=Cron("0 13 * * *"), jitter=1800), states=states)
    await clock.advance(hours=1, seconds=1)
    assert runs == []
    await scheduler.reset("tick")
    await clock.advance(1)
    await clock.jump(-90)
    await clock.advance(hours=2)
    assert runs == [NOON + 3601]


async def test_a_reset_before_a_slot_that_ran_by_a_wrong_clock_does_not_forget_it(build, clock, noting, runs):
    states = {"tick": TaskState(first_seen=NOON - 3 * 86400, last_run=NOON - 3600)}
    scheduler = await build(noting(schedule=Cron("0 13 * * *")), states=states)
    await clock.advance(hours=1, seconds=1)
    await clock.jump(-90)
    await scheduler.reset("tick")
    await clock.advance(hours=2)
    assert runs == [NOON + 3600, NOON + 3511]


async def test_a_slot_that_was_queued_before_a_large_step_back_comes_again(build, clock, noting, runs):
    gate = Gate()
    first = task("slow", gate, every=1e6, priority=1, timeout=1e6)
    second = noting(schedule=Cron("0 13 * * *"), priority=2)
    await build(first, second, workers=1)
    await clock.advance(hours=1, seconds=1)
    await clock.jump(-86400)
    gate.open.set()
    await clock.advance(hours=24)
    assert [when for _, when in runs] == [NOON + 3601 - 86400, NOON + 3600]


async def test_a_retry_that_waited_for_a_worker_serves_the_slot_that_came_meanwhile(
    build, clock, noting, runs
):
    gate, state = Gate(), TaskState(last_run=NOON - 240, slot=NOON - 240, retry_at=NOON + 10, attempt=1)
    slow = task("slow", gate, every=1e6, priority=1, timeout=1e6)
    second = noting(schedule=Cron("1-59/5 * * * *"), priority=2, retries=3)
    await build(slow, second, workers=1, states={"tick": state})
    await clock.advance(65)
    gate.open.set()
    await clock.advance(1)
    await clock.jump(-20)
    await clock.advance(200)
    assert [when for _, when in runs] == [NOON + 65], "the corrected clock brings it no second time"


async def test_a_retry_does_not_serve_the_next_slot_of_a_schedule_that_was_changed(
    build, clock, noting, runs
):
    state = TaskState(last_run=NOON - 240, slot=NOON - 240, retry_at=NOON + 10, attempt=1)
    await build(noting(schedule=Cron("5 12 * * *"), retries=3), states={"tick": state})
    await clock.advance(20)
    await clock.jump(-30)
    await clock.advance(400)
    assert runs == [NOON + 10, NOON + 300]


async def test_a_force_does_not_serve_a_slot_that_has_not_come(build, clock, noting, runs):
    scheduler = await build(noting(schedule=Cron("0 13 * * *")))
    await clock.advance(minutes=10)
    await scheduler.force("tick")
    await clock.advance(hours=2)
    assert runs == [NOON + 600, NOON + 3600]


async def test_a_clock_set_forward_runs_a_task_once_at_once(build, clock, noting, runs):
    await build(noting())
    await clock.advance(10)
    await clock.jump(7200)
    assert len(runs) == 2
    await clock.advance(minutes=4)
    assert len(runs) == 2


async def test_after_a_sleep_a_task_without_catch_up_waits_for_its_next_beat(build, clock, noting, runs):
    await build(noting(catch_up=False))
    await clock.advance(10)
    await clock.jump(1000)
    await clock.advance(1)
    assert len(runs) == 1
    await clock.advance(minutes=5)
    assert len(runs) == 2


async def test_without_catch_up_the_first_slot_of_a_cron_task_can_be_missed_like_any_other(
    build, clock, noting, runs
):
    await build(noting(schedule=Cron("30 12 * * *"), catch_up=False))
    await clock.advance(10)
    clock.stall(3600)
    await clock.advance(hours=24)
    assert runs == [NOON + 1800 + 86400]


async def test_a_wake_does_not_run_what_was_missed_without_catch_up(build, clock, noting, runs):
    scheduler = await build(noting(catch_up=False))
    await clock.advance(10)
    clock.wall += 1000  # and it was not noticed yet
    await scheduler.run_due_once(0)
    await clock.advance(1)
    assert runs == [NOON]


async def test_at_start_tasks_run_once_each_start(build, clock, noting, runs):
    await build(noting(schedule=AtStart()), states={"tick": TaskState(last_run=NOON - 5, run_count=1)})
    await clock.advance(hours=3)
    assert runs == [NOON]


async def test_an_at_start_task_that_is_added_later_waits_for_the_next_start(build, clock, noting, runs):
    scheduler = await build()
    scheduler.set_tasks([noting(schedule=AtStart())])
    await clock.advance(hours=3)
    assert runs == []


async def test_a_cron_task_that_is_added_later_waits_for_its_first_slot_after_that(
    build, clock, noting, runs
):
    scheduler = await build()
    await clock.advance(hours=2)
    scheduler.set_tasks([noting(schedule=Cron("0 13 * * *"))])
    await clock.advance(hours=22)
    assert runs == []
    await clock.advance(hours=2)
    assert runs == [NOON + 3600 + 86400]


@each("change", [{"enabled": False}, {"work": Nothing("command")}])
async def test_what_is_not_wanted_any_more_is_not_run_from_the_queue(build, clock, noting, runs, change):
    gate = Gate()
    first, second = task("slow", gate, priority=1), noting(priority=2)
    scheduler = await build(first, second, workers=1)
    await clock.advance()
    scheduler.set_tasks([first, replace(second, **change)])
    gate.open.set()
    await clock.advance(10)
    assert runs == []


async def test_a_run_that_is_written_off_after_its_task_was_removed_is_over_when_it_comes_back(build, clock):
    gate, entered = asyncio.Event(), []

    async def deaf(context: Any) -> str:
        entered.append(clock.now())
        while not gate.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await gate.wait()
        return ""

    slow = task("slow", deaf, every=30, timeout=10)
    scheduler = await build(slow)
    await clock.advance()
    scheduler.set_tasks([])
    await clock.advance(60)
    scheduler.set_tasks([slow])
    gate.set()
    await clock.advance(60)
    assert len(entered) > 1 and scheduler.snapshot().tasks[0].error is None


async def test_a_run_that_was_abandoned_counts_once_when_it_comes_back(build, clock):
    gate = asyncio.Event()

    async def deaf(context: Any) -> str:
        while not gate.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await gate.wait()
        return "late"

    scheduler = await build(task("slow", deaf, every=3600, timeout=10))
    await clock.advance(60)
    (row,) = scheduler.snapshot().tasks
    assert row.run_count == 1 and row.error and row.error.text == "timed out after 10s"
    gate.set()
    await clock.advance(60)
    (row,) = scheduler.snapshot().tasks
    assert row.run_count == 1 and row.error and row.error.text == "timed out after 10s"
    assert [event.kind for event in scheduler.snapshot().events].count("finished") == 1


async def test_retries_used_before_a_crash_are_there_again_after_it(build, clock):
    async def bad(context: Any) -> str:
        raise TaskFailed("no")

    died = TaskState(last_run=NOON - 90, attempt=2, running=Running(2**30, 1.0, NOON - 90))
    scheduler = await build(task("t", bad, every=3600, retries=2, retry_delay=60), states={"t": died})
    await scheduler.force("t")
    await clock.advance(1)
    assert scheduler.snapshot().tasks[0].note == "attempt 2 of 3"


async def test_due_tasks_start_in_priority_order(build, clock, noting, runs):
    tasks = [noting(name, priority=priority) for name, priority in (("c", 3), ("a", 1), ("b", 2))]
    await build(*tasks, workers=1)
    await clock.advance()
    assert [name for name, _ in runs] == ["a", "b", "c"]


async def test_no_more_runs_at_once_than_workers_and_the_row_says_why_it_waits(build, clock):
    gate = Gate()
    scheduler = await build(*(task(f"t{n}", gate) for n in range(5)), workers=2)
    await clock.advance()
    assert gate.inside == 2
    assert "all 2 workers busy" in scheduler.snapshot().tasks[4].note
    gate.open.set()
    await clock.advance()
    assert gate.entered == 5 and gate.most == 2


async def test_a_task_never_overlaps_itself(build, clock):
    gate = Gate()
    await build(task("slow", gate, timeout=100_000))
    await clock.advance(hours=2)
    assert gate.entered == 1
    gate.open.set()
    await clock.advance(1)
    assert gate.most == 1 and gate.entered == 2  # late, once


async def test_jitter_spreads_starts_and_is_the_same_after_a_restart(build, clock, noting, runs):
    states = {"tick": TaskState(last_run=NOON - 200)}
    first = await build(noting(jitter=60), states=states)
    second = await build(noting(jitter=60), states=states)
    due = first.snapshot().tasks[0].due
    assert NOON + 100 <= due <= NOON + 160 and due == second.snapshot().tasks[0].due


async def test_forces_at_once_are_one_run(build, clock):
    gate = Gate()
    scheduler = await build(task("slow", gate), states={"slow": TaskState(last_run=NOON)})
    answers = await asyncio.gather(*(scheduler.force("slow") for _ in range(10)), return_exceptions=True)
    await clock.advance()
    assert gate.entered == 1
    assert [type(answer) for answer in answers].count(AlreadyRunning) == 9
    gate.open.set()
    await clock.advance(1)
    assert scheduler.snapshot().tasks[0].run_count == 1


async def test_force_again_runs_once_more_after_the_run(build, clock):
    gate = Gate()
    scheduler = await build(task("slow", gate), states={"slow": TaskState(last_run=NOON)})
    await scheduler.force("slow")
    await scheduler.force("slow", again=True)
    await scheduler.force("slow", again=True)
    gate.open.set()
    await clock.advance(1)
    assert gate.entered == 2 and gate.most == 1


async def test_force_works_while_paused_and_when_disabled(build, clock, noting, runs):
    scheduler = await build(noting(enabled=False), states={"tick": TaskState(paused=True)})
    await clock.advance(minutes=20)
    assert runs == []
    await scheduler.force("tick")
    await clock.advance()
    assert len(runs) == 1
    assert scheduler.snapshot().tasks[0].kind is TaskStatus.PAUSED


async def test_a_forced_task_goes_before_others_that_wait(build, clock, runs, noting):
    gate = Gate()
    late = [noting(name, priority=5) for name in ("a", "b")]
    scheduler = await build(task("slow", gate, priority=1), *late, workers=1)
    await clock.advance()
    await scheduler.force("b")
    gate.open.set()
    await clock.advance()
    assert [name for name, _ in runs] == ["b", "a"]


async def test_reset_forgets_the_last_run_and_the_last_error(build, clock):
    async def bad(context: Any) -> str:
        raise TaskFailed("no")

    scheduler = await build(task("t", bad), states={})
    await clock.advance()
    assert scheduler.snapshot().tasks[0].kind is TaskStatus.FAILED
    await scheduler.pause("t")
    await scheduler.reset("t")
    row = scheduler.snapshot().tasks[0]
    assert (row.last_run, row.error, row.failures_in_a_row, row.run_count) == (None, None, 0, 1)


async def test_reset_makes_interval_and_cron_tasks_due_at_the_next_check(build, clock, noting, runs):
    for schedule in (Every(300), Cron("0 3 * * *")):
        runs.clear()
        scheduler = await build(noting(schedule=schedule), states={"tick": TaskState(last_run=NOON)})
        await scheduler.reset("tick")
        await clock.advance()
        assert runs == [NOON]


async def test_reset_while_running_runs_once_more_when_the_run_ends(build, clock):
    gate = Gate()
    scheduler = await build(task("slow", gate))
    await clock.advance()
    await scheduler.reset("slow")
    assert gate.entered == 1
    gate.open.set()
    await clock.advance(1)
    assert gate.entered == 2


async def test_pause_means_not_by_schedule_and_resume_takes_it_up(build, clock, noting, runs):
    scheduler = await build(noting())
    await clock.advance()
    await scheduler.pause("tick")
    await clock.advance(hours=1)
    assert len(runs) == 1
    await scheduler.resume("tick")
    await clock.advance(1)
    assert len(runs) == 2


async def test_unknown_tasks_are_refused_with_the_nearest_name(build, noting):
    scheduler = await build(noting())
    with pytest.raises(UnknownTask, match="did you mean tick"):
        await scheduler.force("tikc")


async def test_a_task_that_is_not_set_up_never_runs_and_says_what_to_add(build, clock):
    scheduler = await build(Task("mail", Every(60), Nothing("command", 'command = ["x"]')))
    await clock.advance(hours=1)
    row = scheduler.snapshot().tasks[0]
    assert (row.kind, row.missing, row.run_count) == (TaskStatus.NOT_SET_UP, "command", 0)
    with pytest.raises(NotSetUp, match="command ="):
        await scheduler.force("mail")


async def test_what_a_handler_returns_becomes_the_outcome(build, clock):
    async def fine(context: Any) -> str:
        return "all well"

    async def warns(context: Any) -> Report:
        return Report("look", warning=True)

    async def nonsense(context: Any) -> Any:
        return {"no": "text"}

    scheduler = await build(task("fine", fine), task("warns", warns), task("nonsense", nonsense))
    await clock.advance()
    rows = {row.name: row for row in scheduler.snapshot().tasks}
    assert (rows["fine"].kind, rows["fine"].text) == (TaskStatus.OK, "all well")
    assert rows["warns"].kind is TaskStatus.WARNING
    assert rows["nonsense"].kind is TaskStatus.FAILED


@each(
    "error", [TaskFailed("no route"), ValueError("odd"), SystemExit(3), KeyboardInterrupt(), RuntimeError()]
)
async def test_whatever_a_handler_raises_ends_its_own_run_and_nothing_else(build, clock, noting, runs, error):
    async def bad(context: Any) -> str:
        raise error

    scheduler = await build(task("bad", bad), noting())
    await clock.advance(minutes=6)
    row = scheduler.snapshot().task("bad")
    assert row.kind is TaskStatus.FAILED and row.failures_in_a_row == 2 and row.error.text
    assert len(runs) == 2


async def test_a_success_clears_the_error(build, clock):
    answers = iter([TaskFailed("first"), None])

    async def sometimes(context: Any) -> str:
        if error := next(answers):
            raise error
        return ""

    scheduler = await build(task("t", sometimes))
    await clock.advance()
    assert scheduler.snapshot().tasks[0].error.text == "first"
    await clock.advance(minutes=5)
    row = scheduler.snapshot().tasks[0]
    assert (row.error, row.kind, row.failures_in_a_row, row.run_count) == (None, TaskStatus.OK, 0, 2)


async def test_a_run_that_takes_too_long_is_timed_out(build, clock):
    gate = Gate()
    scheduler = await build(task("slow", gate, every=3600, timeout=60))
    await clock.advance(61)
    row = scheduler.snapshot().tasks[0]
    assert row.kind is TaskStatus.FAILED and row.error.text == "timed out after 1m"
    assert gate.inside == 0


class SlowStore(Store):
    """Says that a start is written when a test lets it."""

    def __init__(self, states: dict[str, TaskState] | None = None) -> None:
        super().__init__(states)
        self.gate = asyncio.Event()

    def written(self) -> Awaitable[bool]:
        return self.gate.wait()


async def test_a_time_limit_counts_from_when_the_program_gets_control(build, clock):
    """A machine that stood still before that, or a slow disk, is not the run's fault."""
    gate, store = Gate(), SlowStore()
    scheduler = await build(task("slow", gate, every=3600, timeout=60), store=store)
    await clock.advance(50)
    clock.stall(50)
    store.gate.set()
    await clock.advance(59)
    assert gate.inside == 1
    await clock.advance(2)
    assert scheduler.snapshot().tasks[0].error.text == "timed out after 1m"


async def test_a_disk_that_hangs_holds_a_worker_for_twice_the_limit_at_most(build, clock):
    scheduler = await build(task("slow", Gate(), every=3600, timeout=60), store=SlowStore())
    await clock.advance(119)
    assert scheduler.snapshot().tasks[0].running_since
    await clock.advance(2)
    assert scheduler.snapshot().tasks[0].error.text == "timed out after 1m"


async def test_a_handlers_own_timeout_error_is_not_ours(build, clock):
    async def bad(context: Any) -> str:
        raise TimeoutError("the server did not answer")

    scheduler = await build(task("t", bad))
    await clock.advance()
    assert scheduler.snapshot().tasks[0].error.text == "TimeoutError: the server did not answer"


async def test_a_coroutine_that_ignores_its_cancellation_is_written_off_and_not_doubled(build, clock):
    gate = asyncio.Event()
    entered = []

    async def stubborn(context: Any) -> str:
        entered.append(clock.now())
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue
        return "at last"

    scheduler = await build(task("t", stubborn, every=30, timeout=10))
    await clock.advance(100)
    row = scheduler.snapshot().tasks[0]
    assert row.error.text == "timed out after 10s" and "ignores being cancelled" in row.note
    assert len(entered) == 1
    gate.set()
    await clock.advance(2)
    assert len(entered) == 2


async def test_retries_come_after_doubling_delays_then_the_regular_slot(build, clock, runs):
    async def bad(context: Any) -> str:
        runs.append(clock.now())
        raise TaskFailed("no")

    scheduler = await build(task("t", bad, every=3600, retries=2, retry_delay=60))
    await clock.advance(minutes=30)
    assert len(runs) == 3
    assert 54 <= runs[1] - runs[0] <= 60 and 108 <= runs[2] - runs[1] <= 120
    triggers = [event.trigger for event in scheduler.snapshot().events if event.kind == "started"]
    assert triggers == [Trigger.SCHEDULE, Trigger.RETRY, Trigger.RETRY]
    await clock.advance(minutes=60)
    assert len(runs) >= 4


async def test_waiting_for_a_retry_survives_a_restart(build, clock, noting, runs):
    states = {"tick": TaskState(last_run=NOON - 10, retry_at=NOON + 20, attempt=1)}
    await build(noting(retries=3), states=states)
    await clock.advance(21)
    assert runs == [NOON + 20]


async def test_shutdown_gives_grace_then_interrupts_and_makes_the_run_due_again(build, clock):
    gate = Gate()
    scheduler = await build(task("slow", gate), grace=10)
    await clock.advance()
    stopping = asyncio.create_task(scheduler.stop())
    await clock.advance(9)
    assert gate.inside == 1
    await clock.advance(2)
    await stopping
    row = scheduler.snapshot().tasks[0]
    assert gate.inside == 0 and row.error.text.startswith("interrupted")
    assert state_of(scheduler, "slow").due_now
    with pytest.raises(Stopping):
        await scheduler.force("slow")


async def test_a_run_that_ends_within_the_grace_is_not_interrupted(build, clock):
    gate = Gate()
    scheduler = await build(task("slow", gate), grace=10)
    await clock.advance()
    stopping = asyncio.create_task(scheduler.stop())
    await clock.advance(1)
    gate.open.set()
    await stopping
    assert scheduler.snapshot().tasks[0].kind is TaskStatus.OK


async def test_stopping_before_a_run_has_begun_still_records_it(build, clock):
    gate = Gate()
    scheduler = await build(task("slow", gate), states={"slow": TaskState(last_run=NOON)})
    forced = asyncio.create_task(scheduler.force("slow"))
    await asyncio.sleep(0)
    scheduler.stop_now()
    await forced
    await scheduler.stop(0)
    assert state_of(scheduler, "slow").outcome is Outcome.INTERRUPTED


async def test_changed_settings_keep_unchanged_tasks_and_forget_removed_ones(build, clock, noting, runs):
    keep, gone = noting("keep", priority=1), noting("gone", priority=1)
    scheduler = await build(keep, gone)
    await clock.advance(100)
    runs.clear()
    fresh = noting("fresh", priority=1)
    scheduler.set_tasks([keep, fresh])
    await clock.advance(201)
    assert [name for name, _ in runs] == ["fresh", "keep"]
    assert [row.name for row in scheduler.snapshot().tasks] == ["fresh", "keep"]


async def test_a_task_that_comes_back_while_its_run_goes_on_does_not_overlap_itself(build, clock):
    gate = Gate()
    slow = task("slow", gate, every=10)
    scheduler = await build(slow)
    await clock.advance()
    scheduler.set_tasks([])
    scheduler.set_tasks([slow])
    await clock.advance(60)
    assert gate.entered == 2 and gate.most == 1


async def test_a_task_that_is_removed_while_it_runs_is_interrupted(build, clock):
    gate = Gate()
    scheduler = await build(task("slow", gate))
    await clock.advance()
    scheduler.set_tasks([])
    await clock.advance(1)
    assert gate.inside == 0
    ended = scheduler.snapshot().events[-1]
    assert (ended.outcome, ended.text) == (
        Outcome.INTERRUPTED,
        "interrupted: the task was removed from the settings",
    )


async def test_a_changed_interval_counts_from_the_last_run(build, clock, noting, runs):
    scheduler = await build(noting())
    await clock.advance(100)
    scheduler.set_tasks([noting(schedule=Every(150))])
    await clock.advance(51)
    assert runs == [NOON, NOON + 150]


async def test_a_registered_handler_replaces_what_the_settings_say(build, clock, noting, runs):
    async def mine(context: Any) -> str:
        return "mine"

    scheduler = await build(noting(), states={"tick": TaskState(last_run=NOON)})
    scheduler.register_handler("tick", mine)
    await scheduler.force("tick")
    await clock.advance()
    assert runs == [] and scheduler.snapshot().tasks[0].text == "mine"


async def test_progress_is_shown_while_it_runs(build, clock):
    gate = asyncio.Event()

    async def slow(context: Any) -> str:
        context.progress(3, 10, "pages")
        await gate.wait()
        return ""

    scheduler = await build(task("t", slow))
    await clock.advance()
    row = scheduler.snapshot().tasks[0]
    assert row.kind is TaskStatus.RUNNING and row.running_since == NOON
    assert (row.progress.done, row.progress.total, row.progress.text) == (3, 10, "pages")
    gate.set()


async def test_the_loop_rearms_although_a_dispatch_broke(build, clock, noting, runs, monkeypatch):
    scheduler = await build(noting(), noting("other"))
    await clock.advance()
    dispatch = scheduler._dispatch
    start = dispatch.start_ready
    monkeypatch.setattr(dispatch, "start_ready", lambda: (_ for _ in ()).throw(RuntimeError("broken")))
    with pytest.raises(RuntimeError):
        await clock.advance(301)
    monkeypatch.setattr(dispatch, "start_ready", start)
    await clock.advance(1)
    assert len(runs) == 4


async def test_what_is_due_while_all_workers_are_busy_waits_for_one(build, clock, noting, runs):
    gate = Gate()
    states = {"tick": TaskState(last_run=NOON - 200)}
    await build(task("first", gate, every=1000), noting(), workers=1, states=states)
    await clock.advance(150)
    assert gate.inside == 1 and not runs
    gate.open.set()
    await clock.advance(1)
    assert runs == [NOON + 150]


async def test_nothing_is_started_by_a_loop_that_stops(build, clock, noting, runs):
    scheduler = await build(noting())
    await clock.advance(250)
    scheduler.stop_now()
    clock.wall += 100
    scheduler._dispatch._on_timer()
    await clock.advance(100)
    assert runs == [NOON]


async def test_a_slot_is_run_once_however_often_the_loop_wakes(build, clock, noting, runs):
    scheduler = await build(noting())
    await clock.advance(299.9)
    for _ in range(5):
        scheduler._dispatch._on_timer()
    await clock.advance(0.2)
    for _ in range(5):
        scheduler._dispatch._on_timer()
    assert runs == [NOON, NOON + 300]


async def test_cron_keeps_wall_time_over_both_daylight_saving_changes(build, noting, runs, clock):
    from zoneinfo import ZoneInfo

    berlin = ZoneInfo("Europe/Berlin")
    clock.wall = datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp()
    await build(noting(schedule=Cron("30 9 * * *", berlin)))
    await clock.advance(hours=48)
    local = [datetime.fromtimestamp(at, berlin).strftime("%d %H:%M") for at in runs]
    assert local == ["29 09:30", "30 09:30"]


@each("name", ["tick", "wake"])
async def test_after_so_many_failures_in_a_row_it_is_paused_and_that_is_said_once(build, clock, name):
    runs = []

    async def broken(context):
        runs.append(clock.now())
        raise TaskFailed("no ink")

    limits = {"retries": 1, "retry_delay": 10.0, "pause_after": 3}
    if name == "wake":
        scheduler = await build(wake=WakeTask(schedule=Every(100.0), work=Call(broken), **limits))
    else:
        scheduler = await build(Task(name, Every(100.0), Call(broken), **limits))
    for _ in range(60):
        await clock.advance(10)
        await until(lambda: not scheduler.snapshot().task(name).running_since, "the run is over")
    assert len(runs) == 3
    row = scheduler.snapshot().task(name)
    assert (row.kind, row.due, row.failures_in_a_row) == (TaskStatus.PAUSED, None, 3)
    assert row.error and row.paused_why == "3 failures in a row"
    (said,) = (event for event in scheduler.snapshot().events if event.kind == "paused")
    assert said.text.endswith(f"resume opus {name}")
    await scheduler.resume(name)
    for _ in range(60):
        await clock.advance(10)
        await until(lambda: not scheduler.snapshot().task(name).running_since, "the run is over")
    assert len(runs) == 6  # it has as many again


async def test_a_run_that_waits_to_be_recorded_keeps_no_task_of_the_loop(build, clock, monkeypatch):
    recording, tasks = [], []
    monkeypatch.setattr(build.workers.deferred, "call", lambda *given: recording.append(given))

    async def work(context):
        tasks.append(weakref.ref(asyncio.current_task()))

    scheduler = await build(Task("tick", Every(300), Call(work)))
    await clock.advance(301)
    await until(lambda: recording and tasks[0]() is None, "its task is gone")
    assert scheduler.snapshot().task("tick").running_since
    for action, *given in recording:
        action(*given)
    assert scheduler.snapshot().task("tick").outcome is Outcome.OK


async def test_a_screen_hears_of_what_is_queued_while_the_only_worker_is_busy(build, clock, noting):
    async def lasts(context):
        await asyncio.Event().wait()

    busy = Task("busy", Every(9000), Call(lasts), timeout=9000.0)
    scheduler = await build(busy, noting("tick", Every(300)), workers=1)
    await scheduler.force("busy")
    await asyncio.sleep(0.05)  # what its start changed was published
    changes = []
    scheduler.subscribe(lambda: changes.append(scheduler.snapshot().task("tick").queued))
    await clock.advance(301)
    await until(lambda: True in changes, "the screen hears of it")
