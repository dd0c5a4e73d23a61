"""What Debian's cron takes for a syntax error: one such line, and it ignores the whole file.

As its cron 3.0pl1-162 was seen to do it. Other crons skip the line alone.
"""

from collections.abc import Callable, Iterable

from scheduler.core.schedules.schedule import MACROS
from scheduler.migration.cron_fields import AcceptedByCron, NotCron, read_fields
from scheduler.migration.crontab import Line, LineKind, split_user


def first_syntax_error(lines: Iterable[Line], column: bool, is_user: Callable[[str], bool]) -> Line | None:
    """The first line that cron refuses; `column`: the jobs of this file name users."""
    return next((line for line in lines if _refused(line, column, is_user)), None)


def _refused(line: Line, column: bool, is_user: Callable[[str], bool]) -> bool:
    if line.kind is not LineKind.JOB:
        return line.kind is LineKind.NONSENSE
    return not _time_is_read(line.when) or (column and not _user_is_read(line, is_user))


def _time_is_read(when: str) -> bool:
    if when.startswith("@"):
        return when == "@reboot" or when in MACROS
    if "?" in when:  # other crons know it
        return False
    try:
        read_fields(when)
    except AcceptedByCron:
        return True
    except NotCron:
        return False
    return True


def _user_is_read(line: Line, is_user: Callable[[str], bool]) -> bool:
    """A blank has to follow the user, even where no command does."""
    user, command = split_user(line.rest)
    return is_user(user) and (bool(command) or line.raw.rstrip(b"\r\n")[-1:] in (b" ", b"\t"))
