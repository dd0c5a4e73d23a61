"""Compares daily files with the clock, so that no file counts as too old because the clock is ahead."""

from collections.abc import Iterable
from datetime import date, timedelta

LEAP = timedelta(days=14)  # a gap this long between daily files: the machine was off, or its clock was set


def believed_today(today: date, days: Iterable[date]) -> date:
    """The day from which ages count: today, or the last day before a leap.

    After a leap the clock must agree with the files for as long again before it is trusted.
    """
    later = today
    for day in sorted({day for day in days if day <= today}, reverse=True):
        if later - day > LEAP:
            return day
        if today - day >= LEAP:
            return today
        later = day
    return today
