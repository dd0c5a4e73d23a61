"""The machine's clock: alarms at their time, whatever happens to it or in a callback; with both timers."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from scheduler.system import clock as module
from scheduler.system.clock import JUMP, LOOK, SLICE, SystemClock
from scheduler.system.timer import _LoopTimer
from tests.fakes import until


@pytest.fixture(params=["the best timer", "the loop's timer"])
async def clock(request, monkeypatch):
    if request.param == "the loop's timer":
        monkeypatch.setattr("scheduler.system.timer.waker", _LoopTimer)
    clock = SystemClock()
    yield clock
    clock.close()


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


async def test_a_clock_that_was_set_is_told(clock, called, monkeypatch):
    telling = clock.on_jump(lambda: called.append("jumped"))
    set_by = [0.0]
    stand_in = SimpleNamespace(time=lambda: time.time() + set_by[0], monotonic=time.monotonic)
    monkeypatch.setattr(module, "time", stand_in)
    for moved, told in ((JUMP / 2, 0), (3600.0, 1), (3600.0, 1), (0.0, 2)):
        set_by[0] = moved
        clock._ring()
        await asyncio.sleep(0)
        assert len(called) == told
    telling.cancel()
    set_by[0] = 60.0
    clock._ring()
    assert len(called) == 2


async def test_the_wall_clock_is_looked_at_however_far_the_next_alarm_is(clock, monkeypatch):
    armed = []
    clock.call_at(clock.now() + 86400, lambda: None)
    monkeypatch.setattr(clock._waker, "arm", lambda when, now: armed.append(when - now))
    clock._ring()
    await until(lambda: armed, "it was set again")
    assert armed == [pytest.approx(LOOK)]


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
