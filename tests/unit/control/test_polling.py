"""Checks of what others change: one after the other, unless one of them hangs."""

import asyncio
import threading

import pytest

from scheduler.control.following import polling
from scheduler.control.following.polling import Looks


async def test_two_checks_take_turns() -> None:
    looks, began, other_asked = Looks(), threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        order.append("first begins")
        began.set()
        other_asked.wait()
        order.append("first ends")

    one = asyncio.create_task(looks.timed(first))
    await asyncio.to_thread(began.wait)
    other = asyncio.create_task(looks.timed(lambda: order.append("second")))
    await asyncio.sleep(0.05)  # time in which a check that did not wait would be through
    other_asked.set()
    await asyncio.gather(one, other)
    assert order == ["first begins", "first ends", "second"]


async def test_a_check_that_hangs_does_not_stop_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "HANGS", 0.01)
    looks, hangs, over = Looks(), threading.Event(), threading.Event()

    def hanging() -> None:
        hangs.set()
        over.wait()

    one = asyncio.create_task(looks.timed(hanging))
    await asyncio.to_thread(hangs.wait)
    done, _ = await looks.timed(lambda: "looked")
    assert done == "looked"
    over.set()
    await one
    assert (await looks.timed(lambda: "again"))[0] == "again"


async def test_a_check_that_fails_lets_the_next_one_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "HANGS", 50.0)
    looks = Looks()
    with pytest.raises(OSError, match="gone"):
        await looks.timed(_raise)
    await asyncio.wait_for(looks.timed(lambda: None), 20.0)


def _raise() -> None:
    raise OSError("gone")
