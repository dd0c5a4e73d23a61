"""Little is done at once; of much, a bounded part in each turn of the loop; nothing waits for ever."""

import asyncio

import pytest

from scheduler.executors.deferred import AT_ONCE, LONGEST, MANY, SLICE, WINDOW, Deferred


@pytest.fixture
def done():
    return []


@pytest.fixture
def now():
    """What the clock says."""
    return [100.0]


@pytest.fixture
async def deferred(now, monkeypatch):
    monkeypatch.setattr("scheduler.executors.deferred.monotonic", lambda: now[0])
    return Deferred()


async def turn():
    await asyncio.sleep(0)


async def test_little_is_done_at_once(deferred, done):
    for number in range(AT_ONCE):
        deferred.call(done.append, number)
    assert done == list(range(AT_ONCE))


async def test_after_a_moment_there_is_room_again(deferred, done, now):
    for number in range(AT_ONCE):
        deferred.call(done.append, number)
    now[0] += 2 * WINDOW
    deferred.call(done.append, "later")
    assert done[-1] == "later"


async def test_of_much_a_turn_of_the_loop_takes_so_many_in_their_order(deferred, done):
    for number in range(AT_ONCE + SLICE + 5):
        deferred.call(done.append, number)
    await turn()
    assert done == list(range(AT_ONCE + SLICE))
    await turn()
    assert done == list(range(AT_ONCE + SLICE + 5))


async def test_what_has_waited_long_is_no_longer_put_off(deferred, done, now):
    for number in range(AT_ONCE + MANY):
        deferred.call(done.append, number)
    now[0] += 2 * LONGEST
    await turn()
    assert len(done) == AT_ONCE + MANY


async def test_what_came_later_waits_its_own_time(deferred, done, now):
    for number in range(AT_ONCE + 2 * SLICE):
        deferred.call(done.append, number)
    now[0] += 0.9 * LONGEST
    for number in range(2 * SLICE):
        deferred.call(done.append, -number)
    now[0] += 0.2 * LONGEST
    await turn()
    assert len(done) == AT_ONCE + 2 * SLICE


async def test_what_breaks_does_not_hold_up_the_rest(deferred, done):
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: done.append(context["exception"]))
    error = OSError("broken")

    def breaks():
        raise error

    for _ in range(AT_ONCE):
        deferred.call(str)
    deferred.call(breaks)
    deferred.call(done.append, 1)
    await turn()
    await turn()
    assert done == [error, 1]


async def test_nothing_is_left_after_a_flush(deferred, done):
    for number in range(AT_ONCE + SLICE + 5):
        deferred.call(done.append, number)
    deferred.flush()
    assert len(done) == AT_ONCE + SLICE + 5
    await turn()
    assert len(done) == AT_ONCE + SLICE + 5
