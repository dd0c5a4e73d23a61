"""Checks of what others change: one after the other, unless one of them hangs."""

import asyncio
import threading

import pytest

from scheduler.control.following import regular_checks
from scheduler.control.following.regular_checks import RegularChecks


async def test_two_checks_take_turns() -> None:
    checks, began, other_asked = RegularChecks(), threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        order.append("first begins")
        began.set()
        other_asked.wait()
        order.append("first ends")

    one = asyncio.create_task(checks.timed(first))
    await asyncio.to_thread(began.wait)
    other = asyncio.create_task(checks.timed(lambda: order.append("second")))
    await asyncio.sleep(0.05)  # time in which a check that did not wait would be through
    other_asked.set()
    await asyncio.gather(one, other)
    assert order == ["first begins", "first ends", "second"]


async def test_a_check_that_hangs_does_not_stop_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regular_checks, "HANGS", 0.01)
    checks, hangs, over = RegularChecks(), threading.Event(), threading.Event()

    def hanging() -> None:
        hangs.set()
        over.wait()

    one = asyncio.create_task(checks.timed(hanging))
    await asyncio.to_thread(hangs.wait)
    done, _ = await checks.timed(lambda: "checked")
    assert done == "checked"
    over.set()
    await one
    assert (await checks.timed(lambda: "again"))[0] == "again"


async def test_a_check_that_fails_lets_the_next_one_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regular_checks, "HANGS", 50.0)
    checks = RegularChecks()
    with pytest.raises(OSError, match="gone"):
        await checks.timed(_raise)
    await asyncio.wait_for(checks.timed(lambda: None), 20.0)


async def test_a_check_that_breaks_goes_on_and_the_log_says_it_once(caplog: pytest.LogCaptureFixture) -> None:
    checks, through, checked = RegularChecks(), asyncio.Event(), 0
    breaks: list[Exception | None] = [OSError("gone"), OSError("gone"), None, OSError("gone"), None]

    async def check(asked: bool) -> float:
        nonlocal checked
        checked += 1
        if error := breaks[checked - 1]:
            raise error
        if checked == len(breaks):
            checks.cancel()
            through.set()
        return 0.0

    checks.begin(check, first=0.0)
    await asyncio.wait_for(through.wait(), 20.0)
    broke = [record for record in caplog.records if record.message.startswith("a regular check broke")]
    assert len(broke) == 2  # it worked in between
    assert "OSError: gone" in caplog.text


async def test_no_check_begins_again_after_the_end() -> None:
    checks, began, checked = RegularChecks(), asyncio.Event(), 0

    async def check(asked: bool) -> float:
        nonlocal checked
        checked += 1
        began.set()
        try:
            await asyncio.sleep(50.0)
        finally:
            raise OSError("gone")

    checks.begin(check, first=0.0)
    await began.wait()
    checks.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    assert checked == 1
    assert [task for task in asyncio.all_tasks() if task.get_name() == "check"] == []


def _raise() -> None:
    raise OSError("gone")
