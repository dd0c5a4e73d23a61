"""What users of price feeds saw elsewhere: a ban that grew, because its end was ignored."""

from email.utils import formatdate

import pytest

from scheduler.core.task import Context
from scheduler.errors import TaskFailed
from scheduler.handlers.net.http import retry_after
from scheduler.handlers.price_monitor.handler import price_monitor
from scheduler.handlers.price_monitor.options import Options
from tests.each import each
from tests.fakes import NOON
from tests.handlers.net.web_servers import Reply, site

BANNED = b'{"code": -1003, "msg": "Way too much request weight used; IP banned."}'


@pytest.fixture(autouse=True)
def moment(monkeypatch):
    now = {"now": NOON}
    monkeypatch.setattr("scheduler.system.clock.SystemClock.now", lambda: now["now"])
    return now


async def failed(home, endpoint, pairs=("BTC/USDT",)) -> str:
    options = Options.model_construct(source="binance", pairs=tuple(pairs), endpoint=endpoint)
    with pytest.raises(TaskFailed) as failure:
        await price_monitor(Context("opus", home, "price_monitor", options))
    return str(failure.value)


@each("status", [403, 418, 420, 429, 500, 502, 503, 529])
async def test_a_ban_that_names_its_end_is_kept_under_any_status(home, status, moment):
    """rotki 1860 and 2990, hummingbot 1291: 418 is a ban, and whoever goes on asking is banned for longer."""
    async with site() as there:
        there.default = lambda path: Reply(BANNED, status, {"Retry-After": "7200"})
        assert "come back in 7200 s" in await failed(home, there.base)
        for _ in range(2):
            assert "rate limited; next request in 7200 s" in await failed(home, there.base)
        assert len(there.asked) == 1
        moment["now"] += 7201
        await failed(home, there.base)
        assert len(there.asked) == 2


async def test_one_banned_pair_is_enough_for_all_of_them(home):
    """node-binance-api 233: two hundred pairs, asked one after the other, into a ban."""
    async with site() as there:
        there.default = lambda path: Reply(BANNED, 418, {"Retry-After": "60"})
        await failed(home, there.base, [f"A{number}/USDT" for number in range(40)])
        assert len(there.asked) <= 4, "those under way at once"


async def test_a_server_that_just_fails_is_asked_by_the_next_run(home):
    async with site() as there:
        there.default = lambda path: Reply(BANNED, 418)
        for _ in range(2):
            assert "HTTP 418" in await failed(home, there.base)
        assert len(there.asked) == 2


@each(
    ("value", "seconds"),
    [
        ("7200", 7200),
        ("0.5", 0.5),
        ("1.", 1),
        (".25", 0.25),
        (" 30s ", 30),
        (formatdate(NOON + 90, usegmt=True), 90),
        (formatdate(NOON + 90, usegmt=True).replace(" GMT", ""), 90),
        ("Monday, 02-Mar-26 12:01:30 GMT", 90),
        ("2026-03-02T12:01:30Z", 90),
        ("2026-03-02T12:01:30", 90),
        (formatdate(NOON - 90, usegmt=True), 0),
        ("99999999", 86400),
        ("1e3", None),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("120, 120", 120.0),
        ("30; comment=soon", 30.0),
        ("5 seconds", 5.0),
    ],
)
def test_when_to_come_back_in_all_its_dresses(value, seconds):
    assert retry_after(value) == (seconds if seconds is None else pytest.approx(seconds))
