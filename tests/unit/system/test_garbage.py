"""All garbage is collected: in quiet moments, or when memory grows."""

import asyncio
import gc
import weakref

import pytest

from scheduler.system import garbage
from scheduler.system.clock import SystemClock
from scheduler.system.garbage import GROWN, Sweeper
from tests.fakes import until


class Machine:
    """What a sweeper asks: how long it is quiet, how much memory there is."""

    quiet, size = 1000.0, 100 << 20


class Knot:
    """Garbage that only a collector can find."""

    def __init__(self):
        self.itself = self


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
async def sweeper(machine, monkeypatch):
    monkeypatch.setattr(garbage, "LOOK", 0.01)
    monkeypatch.setattr(garbage, "PAUSE", 0.0)
    sweeper = Sweeper(lambda: machine.quiet, lambda: machine.size)
    gc.disable()  # only what a test asks for is collected
    sweeper.start()
    yield sweeper
    sweeper.stop()
    gc.unfreeze()
    gc.enable()


def set_aside():
    """A knot that was frozen while it was still used, and is not any more."""
    knot = Knot()
    for _ in range(20):
        gc.collect(0)
    seen = weakref.ref(knot)
    del knot
    gc.collect()
    return seen


async def test_what_has_survived_is_not_looked_at_again_until_it_is_quiet(machine, sweeper):
    machine.quiet = 0.0
    seen = set_aside()
    await asyncio.sleep(0.05)
    assert seen()
    machine.quiet = 1000.0
    await until(lambda: not seen(), "the knot is gone")


async def test_memory_that_grows_does_not_wait_for_a_quiet_moment(machine, sweeper):
    machine.quiet = 0.0
    seen = set_aside()
    assert seen()
    machine.size += GROWN + 1
    await until(lambda: not seen(), "the knot is gone")


async def test_while_memory_grows_nothing_is_set_aside(machine, sweeper):
    machine.quiet, machine.size = 0.0, machine.size + GROWN + 1
    assert not set_aside()()


async def test_what_is_young_is_set_aside_unseen_when_collections_come_fast(machine, sweeper):
    machine.quiet = 0.0
    gc.collect(0)
    seen = weakref.ref(Knot())
    gc.collect(0)
    assert seen()
    machine.quiet = 1000.0
    await until(lambda: not seen(), "the knot is gone")


async def test_what_is_young_is_collected_at_once_otherwise(machine, sweeper, monkeypatch):
    monkeypatch.setattr(garbage, "BUSY", 0.0)
    machine.quiet = 0.0
    seen = weakref.ref(Knot())
    gc.collect(0)
    assert not seen()


async def test_nothing_is_left_behind(machine, sweeper):
    before = len(gc.callbacks)
    sweeper.stop()
    assert len(gc.callbacks) == before - 1
    sweeper.start()


async def test_the_clock_knows_how_long_it_is_quiet():
    clock = SystemClock()
    assert clock.quiet_for() == float("inf")
    clock.call_at(clock.now() + 60, lambda: None)
    assert 50 < clock.quiet_for() <= 60
    clock.close()
