"""The second reading of cron's times: it must stand by itself, and agree with the one that we run by."""

import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.schedules.schedule import Cron
from scheduler.migration.cron_fields import NotCron, read_fields
from tests.each import each
from tests.unit.core.schedules.test_wall_clock import ODD, changes, expression
from tests.unit.migration.second_reading import upcoming

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()


def slots(schedule: Cron, after: float) -> list[float]:
    found: list[float] = []
    while len(found) < 3:
        found.append(after := schedule.after(after))
    return found


@each(("name", "year"), ODD)
def test_both_readings_agree_around_every_odd_change_of_a_clock(name, year):
    zone, dice = ZoneInfo(name), random.Random(f"two{name}")
    for place in changes(zone, year):
        for _ in range(6):
            text = expression(dice)
            start = place - dice.randint(1, 30 * 3600)
            try:
                read_fields(text)
            except NotCron:
                continue
            assert upcoming(text, zone, start) == slots(Cron(text, zone), start), (text, start)


def test_a_gap_that_swallows_all_of_a_day_s_slots_counts_once():
    zone, start = ZoneInfo("Europe/Malta"), datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp()
    text = "5-46 2 * * */3"
    found = upcoming(text, zone, start)
    assert found == slots(Cron(text, zone), start)
    assert [datetime.fromtimestamp(each, zone).strftime("%d %H:%M") for each in found] == [
        "29 03:00",
        "01 02:05",
        "01 02:06",
    ]


def test_times():
    for text, expected in [
        ("0 9 * * mon-fri", ["2026-03-03T09:00", "2026-03-04T09:00", "2026-03-05T09:00"]),
        ("0 0 13 * 5", ["2026-03-06T00:00", "2026-03-13T00:00", "2026-03-20T00:00"]),
        ("0 0 */2 * 1", ["2026-03-09T00:00", "2026-03-23T00:00", "2026-04-13T00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00", "2036-02-29T00:00"]),
        ("0 0 * * 7", ["2026-03-08T00:00", "2026-03-15T00:00", "2026-03-22T00:00"]),
        ("0 0 ? JAN,dec ?", ["2026-12-01T00:00", "2026-12-02T00:00", "2026-12-03T00:00"]),
        ("5-55/25 12 * * *", ["2026-03-02T12:05", "2026-03-02T12:30", "2026-03-02T12:55"]),
        ("@monthly", ["2026-04-01T00:00", "2026-05-01T00:00", "2026-06-01T00:00"]),
    ]:
        found = upcoming(text, UTC, NOON)
        assert [datetime.fromtimestamp(each, UTC).isoformat()[:16] for each in found] == expected, text


def _a_field(low: int, high: int, names: tuple[str, ...] = (), mark: str = "*") -> st.SearchStrategy[str]:
    number = st.integers(low, high).map(str) | st.sampled_from(names or (f"0{high}",))
    span = st.sampled_from("*" + mark) | st.builds("{}-{}".format, number, number)
    part = number | st.builds("{}{}".format, span, st.sampled_from(("", "/1", "/2", "/7", "/010")))
    return st.lists(part, min_size=1, max_size=3).map(",".join)


@given(
    st.tuples(
        _a_field(0, 59),
        _a_field(0, 23),
        _a_field(1, 31, mark="?"),
        _a_field(1, 12, ("jan", "FEB", "Dec")),
        _a_field(0, 7, ("sun", "MON", "Sat"), "?"),
    ).map(" ".join),
    st.sampled_from(("UTC", "Europe/Berlin", "Australia/Lord_Howe")),
    st.integers(0, 2**31),
)
def test_whatever_cron_accepts_runs_at_the_same_times_here(text, zone, start):
    try:
        read_fields(text)
    except NotCron:
        return
    assert slots(Cron(text, ZoneInfo(zone)), start) == upcoming(text, ZoneInfo(zone), start)


# Debian's crontab refuses these, or reads them in a surprising way.
REFUSED = """
5/15 * * * *|0/5 * * * *|61 * * * *|*/0 * * * *|10-5 * * * *|0 0 * * fri-mon|0 0 * * monday|0 0 15W * *
H H * * *|~ 3 * * *|H/15 * * * *|20~40 * * * *|1,,2 * * * *|0 0 30 2 *|0 0 0 * *|0 0 L * *|0 0 LW * *
0 0 * * 5#2|0 0 * * 5L|0 0 * * fri-5/2|0 0 * jul-07/1 *|@dayly|@never|@every 10m|@every_minute|@10
"""


def test_what_cron_does_not_run_is_refused():
    for text in REFUSED.strip().replace("\n", "|").split("|"):
        with pytest.raises(NotCron):
            read_fields(text)
            pytest.fail(text)
