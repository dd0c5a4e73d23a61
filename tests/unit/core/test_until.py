"""Moments as people type them, for clocks that are set twice a year, too."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from scheduler.core.schedules.until import moment_from
from scheduler.errors import BadSchedule
from tests.each import each

BERLIN = ZoneInfo("Europe/Berlin")
SATURDAY = "2026-03-28T14:03:22"  # the day before summer time begins


def local(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


@each(
    ("now", "text", "when"),
    [
        (SATURDAY, "14:04", "2026-03-28T14:04"),
        (SATURDAY, "14:03", "2026-03-29T14:03"),  # it is past that: tomorrow
        (SATURDAY, "8:00", "2026-03-29T08:00"),
        (SATURDAY, "02:30", "2026-03-29T03:00"),  # no clock shows it
        ("2026-10-24T20:00", "02:30", "2026-10-25T02:30"),  # the first of two
        (SATURDAY, "mon 9:00", "2026-03-30T09:00"),
        (SATURDAY, "Saturday 10:00", "2026-04-04T10:00"),
        (SATURDAY, "sat 15:00", "2026-03-28T15:00"),
        (SATURDAY, "2h", "2026-03-28T16:03:22"),
        (SATURDAY, "1h 30m", "2026-03-28T15:33:22"),
        (SATURDAY, "24h", "2026-03-29T15:03:22"),  # an hour was skipped
        (SATURDAY, "2026-11-25T08:00", "2026-11-25T08:00"),
        (SATURDAY, "2026-03-29T02:30+00:00", "2026-03-29T04:30"),
    ],
)
def test_what_is_typed_is_the_next_such_moment_there(now, text, when):
    assert moment_from(text, local(now), BERLIN) == local(when)


@each(
    ("text", "problem"),
    [
        ("30", "is not a time"),  # seconds, minutes, or half past?
        ("24:00", "is not a time"),
        ("fry 8:00", "is not a time"),
        ("", "is not a time"),
        ("soon", "is not a time"),
        ("0s", "is not ahead of now"),
        ("2026-01-01", "is not ahead of now"),
        ("9999-12-31", "is more than a century ahead"),
    ],
)
def test_what_is_no_moment_is_one_line_with_the_forms(text, problem):
    with pytest.raises(BadSchedule) as caught:
        moment_from(text, local(SATURDAY), BERLIN)
    assert str(caught.value) == f"{text!r} {problem}: write 08:00, mon 9:00, 2h or 2026-11-25T08:00"
