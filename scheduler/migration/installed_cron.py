"""What this machine's cron does beyond its crontabs: the zones it reads, the variables it adds."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scheduler.core.schedules.schedule import MACROS
from scheduler.errors import SchedulerError
from scheduler.migration.cron_fields import is_read
from scheduler.migration.crontab import BOM, Line, LineKind, split_user
from scheduler.migration.pam_environment import pam_environment
from scheduler.system.files import read_file

PROGRAMS = ("usr/sbin/cron", "usr/sbin/crond", "usr/bin/crond", "sbin/crond")
SYSTEM = (Path("/etc/crontab"), Path("/etc/cron.d"))
FILE_IGNORED = b"Syntax error, this crontab file will be ignored"  # a message in Debian's cron
ZONE = b"CRON_TZ"  # the zone of cron's times, in a crontab: cronie and FreeBSD read it, Debian does not

ROOT = 0  # user id
READ_BY_CRON = re.compile(r"[A-Za-z0-9_-]+")  # file names in a folder


@dataclass(frozen=True, slots=True)
class InstalledCron:
    """`program` is cron's file, empty if there is none here: the crontab may come from another machine."""

    program: str = ""
    reads_zone: bool | None = None  # whether it reads CRON_TZ; None: unknown
    ignores_files: bool = False  # Debian's cron ignores a whole file for one line that it does not understand
    environment: Mapping[str, str] = field(default_factory=dict)  # from PAM, before the crontab's settings


def installed_cron(user: str, home: str, root: Path = Path("/")) -> InstalledCron:
    """The cron installed below `root`, as it runs this user's jobs."""
    program = next((each for name in PROGRAMS if (each := root / name).is_file()), None)
    if program is None:
        return InstalledCron(environment=pam_environment(root, None, user, home))
    service = root / "etc/pam.d" / program.name
    added = pam_environment(root, service, user, home) if service.is_file() else {}
    content = _content(program)
    return InstalledCron(str(program), ZONE in content, FILE_IGNORED in content, added)


def why_ignored(path: Path | None, content: bytes) -> str:
    """Why cron runs nothing of this crontab (None: a user's own); empty if it does, or does not read it."""
    last = content.rpartition(b"\n")[2].strip(b" \t")
    if is_installed(path) and last and not last.startswith(b"#"):  # observed with Debian's cron 3.0pl1-162
        return "cron ignores a file whose last line has no line end"
    if path and path.parent.name == "cron.d" and not READ_BY_CRON.fullmatch(path.name):
        return "cron ignores a file with this name: letters, digits, _ and - only"
    return _why_distrusted(path) if path and (path in SYSTEM or path.parent in SYSTEM) else ""


def is_installed(path: Path | None) -> bool:
    """Whether cron reads this file: a user's own crontab (None), or a file in one of cron's places."""
    return path is None or path in SYSTEM or path.parent.name in ("crontabs", "tabs", "cron.d")


def is_user(name: str) -> bool:
    """Whether this machine has a user of this name."""
    from pwd import getpwnam

    try:
        return bool(getpwnam(name))
    except KeyError:
        return False


def _why_distrusted(path: Path) -> str:
    status, link = path.stat(), path.lstat()
    if {status.st_uid, link.st_uid} != {ROOT}:
        return "cron ignores a file that does not belong to root"
    if status.st_mode & 0o022:
        return "cron ignores a file that others than root can write to"
    return "cron ignores a file with several hard links" if status.st_nlink > 1 else ""


def processes_of(user: str) -> dict[int, tuple[str, ...]]:
    """The processes of this user by pid: the program and its arguments."""
    import psutil  # only needed for a move

    found = ((each.pid, each.info) for each in psutil.process_iter(["username", "cmdline"]))
    return {
        pid: tuple(info["cmdline"]) for pid, info in found if info["username"] == user and info["cmdline"]
    }


def is_folder(path: Path) -> bool:
    """Whether cron can start a job there."""
    return path.is_dir()


def _content(program: Path) -> bytes:
    try:
        return read_file(program)
    except OSError as error:
        raise SchedulerError(
            f"{program}: cannot be read: {error.strerror}; correct its permissions"
        ) from error


# ------------------------------------------------------------------ a file that Debian's cron ignores


def first_syntax_error(lines: Iterable[Line], column: bool, is_user: Callable[[str], bool]) -> Line | None:
    """The first line that makes Debian's cron ignore the whole file; `column`: its jobs name users.

    As observed with its cron 3.0pl1-162. Other crons skip only the line.
    """
    return next((line for line in lines if _refused(line, column, is_user)), None)


def _refused(line: Line, column: bool, is_user: Callable[[str], bool]) -> bool:
    if line.raw.startswith(BOM):
        return True
    match line.kind:
        case LineKind.SETTING:
            return line.text.endswith("=")  # MAILTO= instead of MAILTO=""
        case LineKind.BLANK:
            return b"\r" in line.raw
        case LineKind.NONSENSE | LineKind.COMMENT:
            return line.kind is LineKind.NONSENSE
    return not _time_is_read(line.when) or (column and not _user_is_read(line, is_user))


def _time_is_read(when: str) -> bool:
    if when.startswith("@"):
        return when == "@reboot" or when in MACROS
    return is_read(when)


def _user_is_read(line: Line, is_user: Callable[[str], bool]) -> bool:
    """Whether the user exists, with a blank behind the name even if no command follows."""
    user, command = split_user(line.rest)
    return is_user(user) and (bool(command) or line.raw.rstrip(b"\r\n")[-1:] in (b" ", b"\t"))
