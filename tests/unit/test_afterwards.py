"""Other starts go first, but nothing waits for ever."""

import asyncio

import pytest

from scheduler.afterwards import LONGEST, MANY, SLICE, Afterwards


@pytest.fixture
def done():
    return []


async def turn():
    await asyncio.sleep(0)


async def test_a_turn_of_the_loop_takes_so_many_in_their_order(done):
    afterwards = Afterwards()
    for number in range(SLICE + 5):
        afterwards.put(done.append, number)
    assert done == []
    await turn()
    assert done == list(range(SLICE))
    await turn()
    assert done == list(range(SLICE + 5))


async def test_what_has_waited_long_is_no_longer_put_off(done, monkeypatch):
    afterwards, now = Afterwards(), asyncio.get_running_loop().time()
    for number in range(MANY):
        afterwards.put(done.append, number)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now + LONGEST + 1)
    await turn()
    assert len(done) == MANY


async def test_what_breaks_does_not_hold_up_the_rest(done):
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: done.append(context["exception"]))
    afterwards, error = Afterwards(), OSError("broken")

    def breaks():
        raise error

    afterwards.put(breaks)
    afterwards.put(done.append, 1)
    await turn()
    await turn()
    assert done == [error, 1]


async def test_nothing_is_left_after_a_flush(done):
    afterwards = Afterwards()
    for number in range(SLICE + 5):
        afterwards.put(done.append, number)
    afterwards.flush()
    assert len(done) == SLICE + 5
    await turn()
    assert len(done) == SLICE + 5
