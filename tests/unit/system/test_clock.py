"""The machine's clock: alarms at their time, whatever happens to it or in a callback; with both timers."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from scheduler.system import clock as module
from scheduler.system.clock import JUMP, LOOK, SLICE, LoopTimer, SystemClock
from tests.fakes import until


class ManualTimer:
    """Rings when a test says so, and keeps the times it was set to."""

    def __init__(self, ring) -> None:
        self.ring, self.times = ring, []
        self.set, self.close = self.times.append, self.times.clear


@pytest.fixture(params=[None, LoopTimer], ids=["the best timer", "the loop's timer"])
async def clock(request):
    clock = SystemClock(request.param)
    yield clock
    clock.close()


@pytest.fixture
def timers():
    """The timers that `manual` made."""
    return []


@pytest.fixture
def manual(timers):
    return SystemClock(lambda ring: timers.append(ManualTimer(ring)) or timers[-1])


@pytest.fixture
def called():
    return []


async def test_an_alarm_comes_at_its_time_and_not_before(clock, called):
    due = clock.now() + 0.03
    clock.call_at(due, lambda: called.append(clock.now()))
    await until(lambda: called, "it came")
    assert called[0] >= due - 0.001  # a timer of the loop counts in whole milliseconds


async def test_alarms_come_in_the_order_of_their_times(clock, called):
    now = clock.now()
    for after in (0.03, 0.01, 0.02):
        clock.call_at(now + after, lambda after=after: called.append(after))
    await until(lambda: len(called) == 3, "all came")
    assert called == [0.01, 0.02, 0.03]


async def test_an_alarm_in_the_past_comes_at_once(clock, called):
    clock.call_at(clock.now() - 3600, lambda: called.append(1))
    await until(lambda: called, "it came")


async def test_a_cancelled_alarm_does_not_come(clock, called):
    clock.call_at(clock.now() + 0.01, lambda: called.append("cancelled")).cancel()
    clock.call_at(clock.now() + 0.02, lambda: called.append("kept"))
    await until(lambda: called, "the other came")
    assert called == ["kept"]


async def test_an_alarm_that_a_callback_sets_comes_too(clock, called):
    def again():
        called.append(1)
        if len(called) < 3:
            clock.call_at(clock.now(), again)

    clock.call_at(clock.now(), again)
    await until(lambda: len(called) == 3, "all came")


async def test_a_callback_that_breaks_does_not_stop_the_clock(clock, called):
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: called.append("broke"))

    def breaks():
        raise OSError("broken")

    clock.call_at(clock.now() + 0.01, breaks)
    clock.call_at(clock.now() + 0.02, lambda: called.append("next"))
    await until(lambda: "next" in called, "the next came")
    assert called == ["broke", "next"]


async def test_of_many_alarms_at_once_the_loop_has_other_turns_between(clock, called):
    turns, due = [], clock.now() + 0.02

    async def breathe():
        while len(called) < 3 * SLICE:
            turns.append(len(called))
            await asyncio.sleep(0)

    for number in range(3 * SLICE):
        clock.call_at(due, lambda number=number: called.append(number))
    await breathe()
    assert {SLICE, 2 * SLICE} <= set(turns)


async def test_cancelled_alarms_do_not_pile_up(clock):
    clock.call_at(clock.now() + 60, lambda: None)
    for _ in range(1000):
        clock.call_at(clock.now() + 3600, lambda: None).cancel()
    assert len(clock._heap) < 200


def test_a_clock_that_was_set_calls_back_once_for_each_jump(manual, timers, called, monkeypatch):
    listening = manual.on_jump(lambda: called.append("jumped"))
    offset = [0.0]
    stand_in = SimpleNamespace(time=lambda: time.time() + offset[0], monotonic=time.monotonic)
    monkeypatch.setattr(module, "time", stand_in)
    for moved, times in ((JUMP / 2, 0), (3600.0, 1), (3600.0, 1), (0.0, 2)):
        offset[0] = moved
        timers[0].ring()
        assert len(called) == times, moved
    listening.cancel()
    offset[0] = 60.0
    timers[0].ring()
    assert len(called) == 2


def test_the_wall_clock_is_compared_however_far_the_next_alarm_is(manual, timers):
    manual.call_at(manual.now() + 86400, lambda: None)
    timers[0].ring()
    assert [when - manual.now() for when in timers[0].times] == [pytest.approx(LOOK, abs=1)] * 2


def test_new_alarms_do_not_put_the_look_off_after_the_clock_was_set_back(manual, timers, monkeypatch):
    stand_in = SimpleNamespace(time=lambda: wall, monotonic=lambda: elapsed)
    monkeypatch.setattr(module, "time", stand_in)
    wall, elapsed = time.time(), time.monotonic()
    manual.call_at(wall + 86400, lambda: None)
    timers[0].ring()
    wall, elapsed = wall - 3600 + 0.9 * LOOK, elapsed + 0.9 * LOOK
    manual.call_at(wall + 600, lambda: None)
    assert timers[0].times[-1] - wall == pytest.approx(0.1 * LOOK, abs=0.01)


def test_a_turn_of_callbacks_sets_the_timer_once(manual, timers):
    now = manual.now()
    for _ in range(10):
        manual.call_at(now, lambda: manual.call_at(now + 5, lambda: None))
    timers[0].times.clear()
    timers[0].ring()
    assert timers[0].times == [now + 5]


async def test_a_closed_clock_can_be_used_again(clock, called):
    clock.call_at(clock.now() + 0.01, lambda: called.append("before"))
    clock.close()
    clock.call_at(clock.now() + 0.02, lambda: called.append("after"))
    await until(lambda: called, "it came")
    assert called == ["after"]


async def test_a_callback_may_close_the_clock(clock, called):
    clock.call_at(clock.now(), lambda: (clock.close(), called.append("closed")))
    await until(lambda: called, "it came")
    await asyncio.sleep(0.01)
    clock.call_at(clock.now(), lambda: called.append("again"))
    await until(lambda: "again" in called, "it is used again")
