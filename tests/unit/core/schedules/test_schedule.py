"""When things run: tables of ISO times, checked by eye."""

import random
from datetime import datetime

import pytest

from scheduler.core.schedules.schedule import (
    NEVER,
    AtStart,
    Cron,
    Every,
    duration,
    parse,
    short_duration,
    unix,
    zone_named,
)
from scheduler.errors import BadSchedule
from tests.each import each

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def times(text: str, zone: str, start: str, count: int) -> list[str]:
    """The next `count` slots after `start`, as local times without their offset."""
    schedule, at, found = parse(text, zone_named(zone)), datetime.fromisoformat(start).timestamp(), []
    for _ in range(count):
        at = schedule.after(at)
        found.append(datetime.fromtimestamp(at, zone_named(zone)).strftime("%m-%d %H:%M:%S%z"))
    return [each.replace(":00+", "+").replace(":00-", "-") for each in found]


@each(
    ("text", "start", "expected"),
    [
        ("0 9 * * mon-fri", "2026-03-06T12:00+01:00", ["03-09 09:00+0100", "03-10 09:00+0100"]),
        ("*/15 8-9 * * *", "2026-03-06T09:31+01:00", ["03-06 09:45+0100", "03-07 08:00+0100"]),
        ("0 0 13 * 5", "2026-03-06T12:00+01:00", ["03-13 00:00+0100", "03-20 00:00+0100"]),
        ("0 0 1 jan,JUL *", "2026-02-06T12:00+01:00", ["07-01 00:00+0200", "01-01 00:00+0100"]),
        ("0 0 * * 0", "2026-02-06T12:00+01:00", ["02-08 00:00+0100", "02-15 00:00+0100"]),
        ("0 0 * * 7", "2026-02-06T12:00+01:00", ["02-08 00:00+0100", "02-15 00:00+0100"]),
        ("0 0 L * *", "2026-02-06T12:00+01:00", ["02-28 00:00+0100", "03-31 00:00+0200"]),
        ("0 0 29 2 *", "2026-02-06T12:00+01:00", ["02-29 00:00+0100", "02-29 00:00+0100"]),
        ("0 0 ? * 1", "2026-02-06T12:00+01:00", ["02-09 00:00+0100", "02-16 00:00+0100"]),
        ("0  9\t* * *", "2026-02-06T12:00+01:00", ["02-07 09:00+0100", "02-08 09:00+0100"]),
        ("*/20 * * * * *", "2026-02-06T12:00:05+01:00", ["02-06 12:00:20+0100", "02-06 12:00:40+0100"]),
        ("15 30\t2 * * *", "2026-02-06T02:30:15+01:00", ["02-07 02:30:15+0100", "02-08 02:30:15+0100"]),
        ("10,50 30 2 * * *", "2026-02-06T02:30:20+01:00", ["02-06 02:30:50+0100", "02-07 02:30:10+0100"]),
        ("@hourly", "2026-02-06T12:00+01:00", ["02-06 13:00+0100", "02-06 14:00+0100"]),
        ("@Daily", "2026-02-06T12:00+01:00", ["02-07 00:00+0100", "02-08 00:00+0100"]),
        ("@midnight", "2026-02-06T12:00+01:00", ["02-07 00:00+0100", "02-08 00:00+0100"]),
        ("@weekly", "2026-02-06T12:00+01:00", ["02-08 00:00+0100", "02-15 00:00+0100"]),
        ("@monthly", "2026-02-06T12:00+01:00", ["03-01 00:00+0100", "04-01 00:00+0200"]),
        ("@yearly", "2026-02-06T12:00+01:00", ["01-01 00:00+0100", "01-01 00:00+0100"]),
        ("@annually", "2026-02-06T12:00+01:00", ["01-01 00:00+0100", "01-01 00:00+0100"]),
        ("TZ=Asia/Tokyo 0 9 * * *", "2026-02-06T12:00+01:00", ["02-07 01:00+0100", "02-08 01:00+0100"]),
        ("CRON_TZ=UTC @daily", "2026-02-06T12:00+01:00", ["02-07 01:00+0100", "02-08 01:00+0100"]),
        ("6h", "2026-02-06T12:00+01:00", ["02-06 18:00+0100", "02-07 00:00+0100"]),
    ],
)
def test_the_next_slots(text, start, expected):
    assert times(text, BERLIN, start, 2) == expected


@each(
    ("text", "zone", "start", "expected"),
    [
        # 29 March 2026, 02:00 becomes 03:00: what falls into the gap runs right after it, once.
        ("30 2 * * *", BERLIN, "2026-03-28T12:00+01:00", ["03-29 03:00+0200", "03-30 02:30+0200"]),
        ("15,45 2 * * *", BERLIN, "2026-03-28T12:00+01:00", ["03-29 03:00+0200", "03-30 02:15+0200"]),
        ("0 3 * * *", BERLIN, "2026-03-28T12:00+01:00", ["03-29 03:00+0200", "03-30 03:00+0200"]),
        ("30 1 * * *", BERLIN, "2026-03-28T12:00+01:00", ["03-29 01:30+0100", "03-30 01:30+0200"]),
        ("15 30 2 * * *", BERLIN, "2026-03-28T12:00+01:00", ["03-29 03:00:15+0200", "03-30 02:30:15+0200"]),
        ("*/30 * * * *", BERLIN, "2026-03-29T01:15+01:00", ["03-29 01:30+0100", "03-29 03:00+0200"]),
        ("0 */2 * * *", BERLIN, "2026-03-29T00:45+01:00", ["03-29 04:00+0200", "03-29 06:00+0200"]),
        ("0 0 * * *", NEW_YORK, "2026-03-07T12:00-05:00", ["03-08 00:00-0500", "03-09 00:00-0400"]),
        ("30 2 * * *", NEW_YORK, "2026-03-07T12:00-05:00", ["03-08 03:00-0400", "03-09 02:30-0400"]),
        (
            "0 0 * * *",
            "America/Sao_Paulo",
            "2018-11-03T12:00-03:00",
            ["11-04 01:00-0200", "11-05 00:00-0200"],
        ),
        # 25 October 2026, 03:00 becomes 02:00: a fixed time runs once, an interval goes on evenly.
        ("30 2 * * *", BERLIN, "2026-10-24T12:00+02:00", ["10-25 02:30+0200", "10-26 02:30+0100"]),
        ("30 2 * * *", BERLIN, "2026-10-25T02:45+02:00", ["10-26 02:30+0100", "10-27 02:30+0100"]),
        ("15 30 2 * * *", BERLIN, "2026-10-24T12:00+02:00", ["10-25 02:30:15+0200", "10-26 02:30:15+0100"]),
        ("30 1 * * *", NEW_YORK, "2026-10-31T12:00-04:00", ["11-01 01:30-0400", "11-02 01:30-0500"]),
        (
            "*/30 * * * *",
            BERLIN,
            "2026-10-25T02:15+02:00",
            ["10-25 02:30+0200", "10-25 02:00+0100", "10-25 02:30+0100", "10-25 03:00+0100"],
        ),
        (
            "*/30 * * * * *",
            BERLIN,
            "2026-10-25T02:59:15+02:00",
            ["10-25 02:59:30+0200", "10-25 02:00+0100", "10-25 02:00:30+0100"],
        ),
        # Half an hour: 02:00 becomes 01:30 on 5 April 2026, and 02:30 on 4 October.
        (
            "*/15 * * * *",
            LORD_HOWE,
            "2026-04-05T01:40+11:00",
            ["04-05 01:45+1100", "04-05 01:30+1030", "04-05 01:45+1030", "04-05 02:00+1030"],
        ),
        ("45 1 * * *", LORD_HOWE, "2026-04-05T01:00+11:00", ["04-05 01:45+1100", "04-06 01:45+1030"]),
        ("10 2 * * *", LORD_HOWE, "2026-10-03T12:00+10:30", ["10-04 02:30+1100", "10-05 02:10+1100"]),
        # Samoa had no 30 December 2011 at all.
        ("0 9 * * *", "Pacific/Apia", "2011-12-29T08:00-10:00", ["12-29 09:00-1000", "12-31 00:00+1400"]),
    ],
)
def test_both_daylight_saving_changes(text, zone, start, expected):
    assert times(text, zone, start, len(expected)) == expected


@each(
    "text",
    [
        "", "x", "* * * *", "* * * * * * *", "61 * * * *", "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *",
        "0 0 0 * *", "0 0 * * mon-", "0 0 30 2 *", "0 0 30 2 ?", "0 0 31 4,6,9,11 *", "61 0 0 * * *",
        "@never", "@every 5m", "TZ=Mars/Olympus 0 0 * * *", "TZ=../../etc/passwd 0 0 * * *", "TZ=UTC 5m",
        "0s", "-5m", "5 parsecs", "1e3", "nan", "inf", "5 5", "٣m", "101y", "40000d", "5m 5",
    ],
)  # fmt: skip
def test_what_can_never_be_meant_is_refused(text):
    with pytest.raises(BadSchedule) as error:
        parse(text, zone_named("UTC"))
    assert "\n" not in str(error.value)


@each(
    ("text", "seconds"),
    [
        (90, 90), (0.5, 0.5), ("90", 90), ("1.5", 1.5), ("5m", 300), ("1h30m", 5400), ("1h 30m 5s", 5405),
        ("2 hours", 7200), ("1 Day", 86400), ("1w", 604800), ("250ms", 0.25), (" 3 min ", 180), ("0", 0),
    ],
)  # fmt: skip
def test_durations(text, seconds):
    assert duration(text) == seconds


@each("value", [True, -1, float("nan"), float("inf"), 1e18, "", "m", "5mm", "1h-", "5 5"])
def test_what_is_no_duration(value):
    with pytest.raises(BadSchedule):
        duration(value)


@each(
    ("seconds", "words"),
    [(0.5, "0.5s"), (0, "0s"), (90, "1m30s"), (300, "5m"), (5400, "1h30m"), (86400, "24h"), (90000, "1d1h")],
)
def test_a_duration_in_words_means_the_same_again(seconds, words):
    assert short_duration(seconds) == words
    assert duration(words) == seconds


def test_six_words_of_a_duration_are_no_cron_expression():
    assert parse("1 h 30 m 5 s") == Every(5405)


def test_a_schedule_shows_as_it_was_written():
    assert [str(parse(text)) for text in ("300", "0 9 * * 1", "@daily", "@REBOOT")] == [
        "5m",
        "0 9 * * 1",
        "@daily",
        "@reboot",
    ]


def test_the_machines_zone_is_the_default(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert parse("0 9 * * *") == Cron("0 9 * * *", zone_named("Asia/Tokyo"))


def test_at_start_has_no_time_of_its_own():
    assert (AtStart().first(5.0), AtStart().after(5.0), AtStart().skip(1.0, 5.0)) == (NEVER, NEVER, NEVER)


def test_an_interval_is_due_at_once_and_then_in_its_rhythm():
    every = Every(300)
    assert every.first(1000.0) == 1000.0
    assert every.after(1000.0) == 1300.0
    assert every.skip(1000.0, 1950.0) == 2200.0
    assert every.skip(1000.0, 1300.0) == 1600.0


@each("seconds", [0, -1, float("nan"), NEVER, 1e10])
def test_no_interval_is_nothing_or_endless(seconds):
    with pytest.raises(BadSchedule):
        Every(seconds)


def test_the_next_slot_is_always_later():
    chance = random.Random(7)
    fields = (
        ["*", "0", "30", "*/7", "1-20/3"],
        ["*", "2", "1-4", "*/5", "0"],
        ["*", "1", "*/9"],
        ["*"],
        ["*", "0"],
    )
    for _ in range(400):
        text = " ".join(chance.choice(field) for field in fields)
        text = chance.choice(["", "*/20 ", "15 "]) + text
        zone = zone_named(chance.choice([BERLIN, NEW_YORK, "UTC", "Australia/Lord_Howe", "Africa/Cairo"]))
        at = chance.uniform(1.6e9, 1.9e9)
        following = parse(text, zone).after(at)
        assert following > at, (text, zone, at)


def test_a_skipped_interval_is_always_later_and_near():
    chance = random.Random(8)
    for _ in range(20_000):
        every, last = (
            Every(chance.choice([0.1, 0.3, 7, 300, chance.uniform(0.1, 1e5)])),
            chance.uniform(1.6e9, 1.8e9),
        )
        now = last + chance.choice([chance.uniform(0, 1e6), every.seconds * chance.randrange(1000)])
        assert now < every.skip(last, now) <= now + every.seconds * 1.001 + 1e-5


@each(
    ("value", "seconds"),
    [
        ("1970-01-01T00:01:00+00:00", 60),
        ("1970-01-01T01:01:00+01:00", 60),
        ("x", None),
        (None, None),
        (5, None),
    ],
)
def test_unix_seconds_of_an_iso_time(value, seconds):
    assert unix(value) == seconds


@each(
    ("schedule", "late", "counted"),
    [
        (Every(60), 0.0, 0.0),
        (Every(60), 0.09, 0.0),
        (Every(60), 0.11, 0.11),
        (Every(60), 30.0, 30.0),
        (Every(60), -0.5, 0.0),  # the clock was set back since the slot had come
        (Every(60), -3600.0, -3600.0),  # and a last run in the future would have to be corrected
        (Every(0.1), 0.04, 0.0),
        (Every(0.1), 0.06, 0.06),  # else the next slot would have passed, and two would run at once
        (Cron("* * * * *"), 0.09, 0.09),
        (Cron("* * * * *"), -0.5, 0.0),
        (AtStart(), 5.0, 5.0),
    ],
)
def test_when_a_run_that_began_late_counts_as_begun(schedule, late, counted):
    slot = 1_700_000_040.0
    assert schedule.counted(slot, slot + late) == pytest.approx(slot + counted, abs=1e-6)
