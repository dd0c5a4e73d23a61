"""Whether files of days agree with the clock: nothing is too old because a clock is ahead."""

from collections.abc import Iterable
from datetime import date, timedelta

LEAP = timedelta(days=14)  # between two days with a file: the machine was off, or its clock was set


def believed_today(today: date, days: Iterable[date]) -> date:
    """The day from which ages count: today, or the last day before a leap.

    After a leap the clock must have agreed with the files for as long again to be believed.
    """
    later = today
    for day in sorted({day for day in days if day <= today}, reverse=True):
        if later - day > LEAP:
            return day
        if today - day >= LEAP:
            return today
        later = day
    return today
