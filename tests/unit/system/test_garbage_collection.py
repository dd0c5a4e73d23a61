"""Garbage collections of a busy process, and that garbage goes nevertheless."""

import asyncio
import gc
import weakref

from scheduler.process import garbage_collection


class Knot:
    def __init__(self) -> None:
        self.itself = self


async def collector(monkeypatch, **seconds):
    for name, value in {"LOOK": 0.02, "PAUSE": 0.0, "RUSH": 1000.0, **seconds}.items():
        monkeypatch.setattr(garbage_collection, name, value)
    made = garbage_collection.GarbageCollector()
    made.start()
    return made


def knot() -> "weakref.ref[Knot]":
    return weakref.ref(Knot())


async def test_in_a_rush_young_objects_are_left_alone_and_collected_in_a_quiet_moment(monkeypatch):
    made = await collector(monkeypatch)
    try:
        left = knot()
        gc.collect(0)
        assert left() is not None, "in a rush nothing is looked through"
        monkeypatch.setattr(garbage_collection, "RUSH", 0.0)
        await asyncio.sleep(0.1)
        assert left() is None, "a quiet moment collects what was left"
    finally:
        made.stop()


async def test_while_memory_grows_garbage_is_collected_however_busy_the_process_is(monkeypatch):
    made = await collector(monkeypatch, GROWTH=-1, SHARE=-1.0, KNOWN=0.0, LOOK=1000.0)
    try:
        left = knot()
        gc.collect(0)
        assert left() is None
    finally:
        made.stop()


async def test_after_stop_python_decides_alone(monkeypatch):
    before = list(gc.callbacks)
    made = await collector(monkeypatch)
    assert gc.callbacks != before
    made.stop()
    assert gc.callbacks == before


def test_while_modules_are_loaded_next_to_nothing_is_collected_and_then_as_usual():
    before = gc.get_threshold()
    try:
        garbage_collection.hold_collections()
        assert gc.get_threshold()[0] == garbage_collection.LOADING
        garbage_collection.collect_as_usual()
        assert gc.get_threshold() == before == garbage_collection.USUAL
        assert gc.get_freeze_count() > 0, "what is loaded is left out"
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def test_what_was_left_out_while_loading_is_looked_through_once_a_loop_begins():
    left = knot()
    garbage_collection.collect_as_usual()
    try:
        gc.collect()
        assert left() is not None
        garbage_collection.freeze_memory()
        assert left() is None
    finally:
        gc.unfreeze()
