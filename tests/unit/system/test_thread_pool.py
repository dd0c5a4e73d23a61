"""The threads for blocking calls: a call that hangs holds up no other, and no exit."""

import asyncio
import threading
from functools import partial

import pytest

from scheduler.process import main_task, thread_pool
from scheduler.process.thread_pool import UnblockedPool


@pytest.fixture
def back(monkeypatch: pytest.MonkeyPatch):
    """Set once the disk answers again."""
    monkeypatch.setattr(thread_pool, "PATIENCE", 0.1)
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def make(request: pytest.FixtureRequest):
    """Makes the pool of a size, which ends with the test."""

    def make(size: int) -> UnblockedPool:
        pool = UnblockedPool(size, request.node.name)
        request.addfinalizer(partial(pool.shutdown, wait=False))
        return pool

    return make


@pytest.fixture
def threads(request: pytest.FixtureRequest):
    """Counts the threads of this test's pool."""
    return lambda: sum(each.name == request.node.name for each in threading.enumerate())


def test_calls_that_hang_hold_up_no_other(back, make):
    pool = make(2)
    hanging = [pool.submit(back.wait, 60) for _ in range(5)]
    assert pool.submit(str, 1).result(10) == "1"
    assert pool.submit(str, 2).result(10) == "2"
    back.set()
    assert all(each.result(10) for each in hanging)


def test_no_more_calls_run_at_once_than_its_size_while_nothing_hangs(make):
    pool, at_once, most = make(2), threading.Semaphore(2), []

    def call() -> None:
        most.append(at_once.acquire(blocking=False))
        threading.Event().wait(0.002)
        at_once.release()

    for each in [pool.submit(call) for _ in range(100)]:
        each.result(20)
    assert all(most)


def test_threads_that_were_relieved_end_when_their_disk_is_back(back, make, threads):
    pool = make(1)
    hanging = [pool.submit(back.wait, 60) for _ in range(4)]
    assert pool.submit(str, 1).result(10) == "1"
    assert threads() > 1
    back.set()
    for each in hanging:
        each.result(10)
    for number in range(200):
        pool.submit(str, number).result(10)
    assert threads() <= 2, "the last one to end may still be seen"


def test_its_end_waits_for_calls_but_not_for_those_that_hang(back, make):
    pool, done = make(2), []
    pool.submit(back.wait, 60)
    last = [pool.submit(done.append, number) for number in range(50)]
    pool.shutdown()
    assert len(done) == len(last)
    with pytest.raises(RuntimeError):
        pool.submit(str, 1)


def test_what_a_call_raises_and_a_call_that_is_cancelled(back, make):
    pool = make(1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(10)
    first, second = pool.submit(back.wait, 60), pool.submit(str, 2)
    assert second.cancel() or second.result(10) == "2"
    back.set()
    assert first.result(10)


def test_a_process_with_many_calls_that_hang_goes_on_and_ends(back):
    async def work() -> str:
        hanging = [asyncio.create_task(asyncio.to_thread(back.wait, 60)) for _ in range(64)]
        await asyncio.sleep(0)
        text = await asyncio.wait_for(asyncio.to_thread(str, "goes on"), 30)
        for each in hanging:
            each.cancel()
        return text

    assert main_task.run(work()) == "goes on"
    assert not back.is_set()
