"""What a line that cron does not run may have meant, as a setting; every hint is checked."""

import re

from scheduler.core.schedules.schedule import Cron, Every
from scheduler.errors import BadSchedule

# Only names of months and days, since apt-get and php-cgi look like ranges of names.
_VALUE = r"(?:[*?]|\d+|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)"
_FIELD = re.compile(rf"{_VALUE}(?:[-,/]{_VALUE})*(?=[ \t])", re.IGNORECASE)
_ANACRON = re.compile(rf"(\d+|@\w+)[ \t]+\d+[ \t]+([a-z][\w.-]+)[ \t]+(?!{_VALUE}[ \t,/-])\S", re.IGNORECASE)


def sixth_field(command: str) -> str:
    """The part of the command that looks like a sixth field of time; empty if none does."""
    found = _FIELD.match(command)
    return found[0] if found else ""


def anacron_job(line: str) -> tuple[str, str] | None:
    """A job's name and setting, if this line is from an anacrontab: `1 5 cron.daily run-parts`."""
    if (found := _ANACRON.match(line)) is None:
        return None
    period, name = found[1], found[2]
    return name, as_setting(period) if period.startswith("@") else _every(float(period))


def as_setting(when: str) -> str:
    """The setting for a time that only the scheduler understands, such as `0 0 L * *`; empty if none."""
    try:
        Cron(when)
    except BadSchedule:
        return ""
    seconds = ", if its first field means seconds" if when.count(" ") == 5 else ""
    return f'cron = "{when}" in the settings{seconds}'


def _every(days: float) -> str:
    try:
        return f'every = "{Every(86400 * days)}" in the settings'
    except BadSchedule:
        return ""
