"""The errors that callers may catch; each text says what is wrong, where, and how to fix it."""

import errno
from collections.abc import Iterable
from pathlib import Path

# What to type for this program: a checkout has run.sh, which sets itself up, a package its command.
PROGRAM = "./run.sh" if Path(__file__).parents[1].joinpath("run.sh").is_file() else "experience-tui"
NO_CITIZENS = f"no citizens yet: {PROGRAM} init opus makes the first"

_FIXES = {errno.EACCES: "; correct its permissions", errno.ENOSPC: "; make room on its disk"}


def file_error(error: OSError, otherwise: object) -> str:
    """One line: the file (`otherwise`, if the error names none), the reason, and the fix if it is known."""
    fix = _FIXES.get(error.errno or 0, "")
    return f"{error.filename or otherwise}: {error.strerror or error}{fix}"


class SchedulerError(Exception):
    """Something a person can cause and fix; `code` is its name on the wire and in scripts."""

    code = "error"
    exit_code = 2


class TaskFailed(Exception):
    """A failure that a handler expects: logged as its text, without a traceback."""


class BadSchedule(SchedulerError):
    """An invalid duration or cron expression."""

    code = "bad-schedule"


class BadSettings(SchedulerError):
    """Settings with errors; `problems` holds all of them, each with file and key."""

    code = "bad-settings"

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class UnknownCitizen(SchedulerError):
    code = "unknown-citizen"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        fix = "a new one is a folder of that name beside them, with an experience.toml in it"
        fix = fix if names else f"{PROGRAM} init NAME makes the first"
        super().__init__(f"{_unknown('citizen', name, names)}; {fix}")


class UnknownTask(SchedulerError):
    code = "unknown-task"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(_unknown("task", name, known))


class UnknownRun(SchedulerError):
    code = "unknown-run"

    def __init__(self, run: int) -> None:
        super().__init__(f"run {run} is not in the history: it never existed or is too old")


class AlreadyRunning(SchedulerError):
    code = "already-running"


class NotRunning(SchedulerError):
    """There is no run to stop; the text says what there is instead."""

    code = "not-running"


class Frozen(SchedulerError):
    """Nothing of the citizen is started until it is thawed; the text has the command."""

    code = "frozen"


class NotSetUp(SchedulerError):
    """A task without the settings that it needs; the text holds the lines to add."""

    code = "not-set-up"


class Owned(SchedulerError):
    """Another process owns the citizen."""

    code = "owned"


class DatabaseAway(SchedulerError):
    """The database that machines share does not answer, or not as it has to."""

    code = "database-away"


class NotOurs(Owned):
    """The home belongs to another user, so this process may not own the citizen."""

    code = "not-ours"


class Managed(Owned):
    """A service runs the citizen, even while it restarts; no other process may own it."""

    code = "managed"


class Unreadable(SchedulerError):
    """A file that exists and cannot be read; it is not treated as empty, so the citizen does not run."""

    code = "unreadable"


class NotALoop(SchedulerError):
    """The owner is a process that a client may not stop."""

    code = "not-a-loop"


class Stopping(SchedulerError):
    """The scheduler is shutting down and starts nothing new."""

    code = "stopping"


class Disconnected(SchedulerError):
    """The owner of the citizen cannot be reached."""

    code = "disconnected"


class NoOwner(Disconnected):
    """No process runs the citizen, on any machine."""


class Refused(Disconnected):
    """Something answers at the citizen's socket, but not this client; the text says why."""

    code = "refused"


class WrongOwner(Refused):
    """What answers at the citizen's socket is not its owner, so nothing may be asked of it."""

    code = "wrong-owner"


class NotConfirmed(SchedulerError):
    """A verb was sent and not answered: it may have been done, so doing it again may do it twice."""

    code = "not-confirmed"
    exit_code = 3


def nearest(name: str, known: Iterable[str]) -> str:
    """The one of these names that is probably meant by `name`; "" if none is near."""
    from difflib import get_close_matches  # only a mistake asks

    return next(iter(get_close_matches(name, list(known), n=1)), "")


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = nearest(name, names)
    hint = f"did you mean {near}? " if near else ""
    return f"unknown {kind} {name!r}: {hint}known: {', '.join(names) or 'none yet'}"
