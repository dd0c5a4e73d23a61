"""What is due, as properties: for any schedule, any state and any clock."""

from dataclasses import replace
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from scheduler.core.planning import (
    LATE,
    next_slot,
    next_start,
    recovered,
    resumed,
    retry_time,
    spread,
    taken_up,
)
from scheduler.core.schedules.forecast import upcoming
from scheduler.core.schedules.schedule import NEVER, ON_TIME, Cron, Every
from scheduler.core.state import CHANGED, Failure, TaskState
from scheduler.core.task import Call, Outcome, Task
from scheduler.process.process_info import Running
from tests.fakes import NOON

often = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HOUR, DAY = 3600.0, 86400.0
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")]
CRONS = ["*/5 * * * *", "0 * * * *", "30 2 * * *", "7 3,15 * * *", "0 9 * * mon-fri", "*/20 * * * * *"]
MOMENTS = (some.floats(-40 * DAY, 40 * DAY) | some.floats(-HOUR, HOUR)).map(lambda offset: NOON + offset)
SCHEDULES = some.builds(Cron, some.sampled_from(CRONS), some.sampled_from(ZONES)) | some.builds(
    Every, some.sampled_from([10.0, 300.0, HOUR, DAY])
)
TASKS = some.builds(
    Task,
    some.just("tick"),
    SCHEDULES,
    some.just(Call(print)),
    jitter=some.sampled_from([0.0, 30.0, 600.0, 2 * DAY]),
    catch_up=some.booleans(),
    retries=some.integers(0, 5),
    retry_delay=some.sampled_from([1.0, 60.0, 7200.0]),
    enabled=some.just(True),
)
STATES = some.builds(
    TaskState,
    last_run=some.none() | MOMENTS,
    last_success=some.none() | MOMENTS,
    last_duration=some.none() | some.floats(0, 2 * DAY),
    first_seen=some.none() | MOMENTS,
    wanted_since=some.none() | MOMENTS,
    slot=some.none() | MOMENTS.map(int),
    paused=some.booleans(),
    paused_at=some.none() | MOMENTS,
    retry_at=some.none() | MOMENTS,
    attempt=some.integers(0, 2000),
    schedule=some.sampled_from([None, "off", "5m"]),
    outcome=some.none() | some.sampled_from(Outcome),
    error=some.none() | some.builds(Failure, MOMENTS, some.just("no")),
)


def start(task: Task, state: TaskState, now: float = NOON, floor: float = NOON):
    return next_start("opus", task, state, now, floor)


def take_up(task: Task, state: TaskState, now: float = NOON, **more) -> TaskState:
    return taken_up("opus", task, state, now, **more)


def after_run(state: TaskState, began: float, slot: float | None, took: float) -> TaskState:
    running = state.started(Running(1, 1.0, began), slot)
    return running.finished(Outcome.OK, "", began + took, took)


@often
@given(TASKS, STATES, some.booleans())
def test_no_moment_is_left_in_the_future(task, state, changed):
    state = take_up(task, state, clock_changed=changed)
    moments = (state.last_run, state.last_success, state.first_seen, state.paused_at, state.wanted_since)
    assert all(moment is None or moment <= NOON for moment in moments)
    assert state.error is None or state.error.time <= NOON
    assert state.slot is None or state.slot < NOON + (0.001 if changed else CHANGED)
    assert state.retry_at is None or state.retry_at <= NOON + task.retry_delay * 2.0**99


@often
@given(TASKS, STATES)
def test_taking_a_task_up_again_at_the_same_moment_changes_nothing(task, state):
    state = take_up(task, state)
    assert take_up(task, state) == state


@often
@given(TASKS, STATES, some.floats(0, DAY))
def test_a_task_that_is_not_paused_is_due_within_its_schedule(task, state, took):
    """Whatever the file says, nothing starves: not beyond an interval, a run, or a slot that has run."""
    state = take_up(task, replace(state, paused=False, last_duration=took))
    when, _ = start(task, state)
    assert when < NEVER
    if isinstance(task.schedule, Every):
        assert when <= NOON + 2 * task.schedule.seconds + took
    else:
        assert when <= task.schedule.after(task.schedule.after(NOON + max(took, CHANGED)))


@often
@given(TASKS, STATES, some.floats(0, 2 * HOUR))
def test_a_slot_that_has_run_is_over(task, state, took):
    state = take_up(task, replace(state, paused=False, due_now=False))
    when, slot = start(task, state)
    ran = after_run(state, max(when, NOON), slot, took)
    following = next_slot("opus", task, ran, max(when, NOON) + took)
    assert following > (when - spread("opus", task, when) if slot is None else slot)
    assert following >= max(when, NOON) + took - ON_TIME - task.jitter


@often
@given(TASKS, some.floats(0, CHANGED - 1), some.booleans())
def test_a_cron_slot_that_has_run_does_not_run_again_after_a_correction(task, back, forgetful):
    if isinstance(task.schedule, Every):
        return
    slot = task.schedule.after(NOON)
    state = after_run(take_up(task, TaskState(first_seen=NOON)), slot, slot, 0.5)
    if forgetful:  # an older version has saved it
        state = replace(state, slot=None, schedule=None)
    now = slot + 0.6 - back
    assert next_slot("opus", task, take_up(task, state, now), now) > slot
    changed = take_up(task, state, now, clock_changed=back > 0.6)
    assert back <= 0.6 or next_slot("opus", task, changed, now) == task.schedule.after(now)


@often
@given(TASKS, STATES, some.floats(-DAY, DAY))
def test_without_catch_up_nothing_starts_for_a_slot_that_was_missed(task, state, away):
    task = replace(task, catch_up=False)
    state = take_up(task, replace(state, paused=False, due_now=False))
    floor = NOON - max(0.0, away)
    when, _ = start(task, state, floor=floor)
    never_ran = state.last_run is None and isinstance(task.schedule, Every)
    assert when > floor - LATE or when == state.retry_at or never_ran


@often
@given(TASKS, MOMENTS.map(int))
def test_jitter_ends_before_the_next_slot_and_is_always_the_same(task, slot):
    when = slot + spread("opus", task, slot)
    assert slot <= when < task.schedule.after(slot) and when - slot <= task.jitter
    assert spread("opus", task, slot) == when - slot or abs(spread("opus", task, slot) - when + slot) < 1e-6


@often
@given(TASKS, some.integers(1, 20))
def test_jitter_never_stretches_an_interval(task, runs):
    if not isinstance(task.schedule, Every):
        return
    state = take_up(task, TaskState(first_seen=NOON))
    when = NOON
    for _ in range(runs):
        when, slot = start(task, state, when, floor=0.0)
        state = after_run(state, when, slot, 0.0)
    beat = state.last_run if state.slot is None else state.slot
    assert abs(beat - NOON - (runs - 1) * task.schedule.seconds) < 1e-3


@often
@given(TASKS, STATES, some.floats(0, 3 * DAY))
def test_slots_during_a_pause_are_not_missed(task, state, paused_for):
    if isinstance(task.schedule, Every):
        return
    task, state = replace(task, jitter=0.0), take_up(task, replace(state, paused=False, retry_at=None))
    waited = next_slot("opus", task, state, NOON) <= NOON
    now = NOON + paused_for
    again = resumed("opus", task, take_up(task, state.with_pause(NOON), now), now)
    slot = next_slot("opus", task, again, now)
    assert slot <= NOON if waited else slot > now


@often
@given(TASKS, STATES)
def test_a_retry_comes_before_the_next_slot_and_not_before_its_delay(task, state):
    state = take_up(task, replace(state, attempt=state.attempt % 8, paused=False))
    failed = replace(after_run(state, NOON, None, 0.0), outcome=Outcome.FAILED, attempt=state.attempt)
    when = retry_time("opus", task, failed, NOON)
    if when is not None:
        assert failed.attempt < task.retries
        assert (
            NOON + 0.9 * task.retry_delay * 2**failed.attempt <= when < next_slot("opus", task, failed, NOON)
        )


@often
@given(TASKS, STATES, some.floats(0, 400))
def test_what_is_said_to_come_next_is_what_comes(task, state, took):
    """The list of next times is the one that the scheduler would go through, run by run."""
    state = take_up(task, replace(take_up(task, state), last_duration=took))
    took = state.last_duration
    said = upcoming("opus", task, state, NOON, NOON, 4)
    now, came = NOON, []
    for _ in said:
        when, slot = start(task, state, now)
        now = max(when, now)
        came.append(now)
        state = replace(after_run(state, now, slot, took), outcome=state.outcome)
    assert said == tuple(came)


@often
@given(TASKS, STATES)
def test_a_run_that_died_is_no_overrun(task, state):
    died = replace(
        state, running=Running(1, 1.0, NOON - DAY), last_run=NOON - DAY, slot=NOON - DAY, paused=False
    )
    if isinstance(task.schedule, Every):
        return
    state = take_up(task, recovered(died, NOON, lambda _: False))
    if state.wanted_since is None:
        assert next_slot("opus", task, state, NOON) == task.schedule.after(NOON - DAY)


def test_of_many_missed_slots_the_last_still_starts_if_its_jitter_has_not_passed():
    task = Task("tick", Cron("0 * * * *"), Call(print), jitter=HOUR, catch_up=False)
    state = take_up(task, TaskState(last_run=NOON - 5 * HOUR))
    now = NOON + spread("opus", task, NOON) / 2
    assert start(task, state, now, now) == (NOON + spread("opus", task, NOON), NOON)


def test_a_long_run_by_a_clock_that_was_ahead_does_not_cost_the_next_slot():
    task = Task("tick", Cron("0 * * * *"), Call(print))
    ran = TaskState(
        last_run=NOON + 2 * HOUR, last_duration=3 * HOUR, slot=NOON - HOUR, schedule="0 * * * * UTC"
    )
    assert next_slot("opus", task, take_up(task, ran, NOON + 60), NOON + 60) == NOON + HOUR


def test_a_run_that_the_clock_was_set_back_in_is_over_now_and_serves_no_later_slot():
    for schedule in (Every(300), Cron("*/5 * * * *")):
        tick = Task("tick", schedule, Call(print))
        for over, took in ((NOON + 60, 3000), (NOON + 299.5, 300.2)):
            state = TaskState(last_run=NOON).finished(Outcome.OK, "", at=over, duration=took)
            assert next_slot("opus", tick, state, over) == NOON + 300


def test_a_run_that_ended_before_the_clock_was_set_back_serves_no_later_slot():
    ended, now = TaskState(last_run=NOON, last_duration=3700, schedule="30m"), NOON + 3590
    for task in (Task("tick", Every(1800), Call(print)), Task("tick", Cron("*/30 * * * *"), Call(print))):
        for took in (3700, 3600.5):
            state = take_up(task, ended.changed(schedule=None, slot=NOON, last_duration=took), now + 9.8)
            assert next_slot("opus", task, state, NOON + 3650) == NOON + 3600, task
    again = ended.changed(running=Running(1, 1.0, NOON))  # the duration is that of the run before
    assert take_up(task, again, now).last_duration == 3700


def test_a_run_by_a_clock_that_was_set_back_tells_that_slots_after_it_are_wanted():
    """What a clock that was ahead noted before is no moment until which they are not."""
    task = Task("tick", Cron("0 * * * *"), Call(print))
    resumed_ahead = TaskState(wanted_since=NOON + 30 * DAY, schedule="0 * * * * UTC")
    run, later = Running(1, 1.0, NOON - 1), NOON + 5 * HOUR
    for begun in (resumed_ahead.started(run), resumed_ahead.prepared(run, None).opened(NOON - 1)):
        state = take_up(task, recovered(begun, later, lambda _: False), later)
        assert next_slot("opus", task, state, later) == NOON
