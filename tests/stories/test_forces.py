"""A run that was asked for is never lost, and a run that never began is no run."""

from typing import Any

from scheduler.core.planning import recovered
from scheduler.core.schedules.schedule import Cron, Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Command, Isolated, Task, Trigger, Work
from scheduler.engine.scheduler import Scheduler
from scheduler.process.process_info import Running
from tests.each import each
from tests.fakes import NOON, state_of, until

OWNER, CHILD = Running(4711, 1.0, NOON), Running(4712, 1.0, NOON)
TRUE = Command(("true",))


def triggers(scheduler: Scheduler, task: str = "tick") -> list[Any]:
    events = scheduler.snapshot().events
    return [event.trigger for event in events if (event.kind, event.task) == ("started", task)]


def task(work: Work = TRUE, **more: Any) -> Task:
    return Task("tick", more.pop("schedule", Every(86400.0)), work, **more)


def died_while_starting(state: TaskState) -> TaskState:
    """What kill -9 leaves behind if it hits between the start of a run and that of its process."""
    return state.started(OWNER, starting=True)


def died_during(state: TaskState) -> TaskState:
    return died_while_starting(state).carried_by(CHILD)


def dead(running: Running) -> bool:
    return False


async def ran(scheduler: Scheduler, clock: Any, times: int) -> None:
    await clock.advance(1)
    await until(lambda: scheduler.snapshot().tasks[0].run_count >= times, f"run {times}")


async def test_a_force_that_was_answered_runs_although_its_owner_died_before_it_began(build, clock):
    """Twelve forces were answered "forced"; after kill -9 seven of them were "interrupted" and never ran."""
    before = TaskState(last_run=NOON - 60, run_count=3).asked_for()
    scheduler = await build(task(), states={"tick": died_while_starting(before)})
    await ran(scheduler, clock, 4)
    assert triggers(scheduler) == [Trigger.FORCE]
    row = scheduler.snapshot().tasks[0]
    assert (row.run_count, row.error) == (4, None)
    await clock.advance(3600)
    assert scheduler.snapshot().tasks[0].run_count == 4, "once"


@each("hold", [{"paused": True}, {}])
async def test_a_pause_does_not_keep_a_forced_run_from_running_after_a_crash(build, clock, hold):
    before = TaskState(last_run=NOON - 60, **hold).asked_for()
    scheduler = await build(task(enabled=bool(hold)), states={"tick": died_while_starting(before)})
    await ran(scheduler, clock, 1)
    await clock.advance(200_000)
    assert scheduler.snapshot().tasks[0].run_count == 1, "the pause goes on"


async def test_a_forced_run_that_waited_for_a_worker_runs_after_a_crash_though_it_is_paused(build, clock):
    scheduler = await build(task(), states={"tick": TaskState(last_run=NOON, paused=True).asked_for()})
    await ran(scheduler, clock, 1)
    assert triggers(scheduler) == [Trigger.FORCE]


async def test_a_cron_slot_whose_run_never_began_runs_after_the_crash_and_once(build, clock):
    daily = task(schedule=Cron("0 12 * * *"), catch_up=False)
    scheduler = await build(daily, states={"tick": died_while_starting(TaskState(last_run=NOON - 86400))})
    await ran(scheduler, clock, 1)
    await clock.advance(3600)
    assert scheduler.snapshot().tasks[0].run_count == 1


def test_a_retry_that_never_began_keeps_its_number():
    before = TaskState(last_run=NOON - 60, attempt=2, failures_in_a_row=2, run_count=2, retry_at=NOON)
    after = recovered(died_while_starting(before), NOON + 5, dead)
    assert (after.attempt, after.failures_in_a_row, after.run_count) == (2, 2, 2)
    assert after.due_now and after.running is None


def test_a_run_that_began_is_interrupted_and_does_not_run_again_for_its_force():
    after = recovered(died_during(TaskState().asked_for()), NOON + 5, dead)
    assert (after.run_count, after.due_now, after.forced) == (1, False, False)
    assert after.error and after.error.text == "interrupted: the scheduler died during this run"


def test_the_pid_of_the_dead_owner_may_belong_to_somebody_else_by_now():
    """Only a process of its own is waited for."""
    after = recovered(died_while_starting(TaskState()), NOON + 5, lambda running: True)
    assert after.orphan is None and after.due_now


@each(
    ("work", "starting"),
    [(TRUE, True), (Isolated("file.py", "run"), True), (Call(lambda context: ""), False)],
)
async def test_only_what_gets_a_process_of_its_own_is_known_not_to_have_begun(build, work, starting):
    """A function of this process may have begun at once: it is not run a second time."""
    scheduler = await build(task(work), states={"tick": TaskState(last_run=NOON)})
    await scheduler.force("tick")
    state = state_of(scheduler, "tick")
    assert (state.running is not None, state.starting, state.forced) == (True, starting, starting)


async def test_another_run_that_was_asked_for_during_a_run_comes_after_a_crash(build, clock):
    """`force --again`: the run under way began and was interrupted, the other one never did."""
    scheduler = await build(task(), states={"tick": died_during(TaskState(last_run=NOON)).asked_for()})
    await ran(scheduler, clock, 2)
    assert triggers(scheduler) == [Trigger.FORCE]


async def test_a_forced_program_that_does_not_exist_is_tried_once(build, clock):
    scheduler = await build(task(Command(("no-such-program",))), states={"tick": TaskState(last_run=NOON)})
    await scheduler.pause("tick")
    await scheduler.force("tick")
    await ran(scheduler, clock, 1)
    await clock.advance(200_000)
    assert scheduler.snapshot().tasks[0].run_count == 1
