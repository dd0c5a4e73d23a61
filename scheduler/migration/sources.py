"""Finds the crontabs that a move is about, and reads them."""

import os
from collections.abc import Iterable
from pathlib import Path

from scheduler.errors import SchedulerError
from scheduler.migration.journal import Crontab
from scheduler.migration.plan import Source
from scheduler.system.files import read_file

SYSTEM = (Path("/etc/crontab"), Path("/etc/cron.d"))


def sources(files: Iterable[Path], user: str, system: bool, column: bool | None) -> list[Source]:
    """The named files and folders, or else the user's own crontab; `system` adds what is below /etc."""
    named = tuple(files)
    found = [] if named else _own(user, needed=not system)
    found += [_file(path, column) for place in named for path in _in(place)]
    places = SYSTEM if system else ()
    return found + [_file(path, True) for place in places if place.exists() for path in _in(place)]


def me() -> str:
    """The name of the user who runs this."""
    from pwd import getpwuid

    try:
        return getpwuid(os.getuid()).pw_name
    except KeyError as error:
        raise SchedulerError(f"user {os.getuid()} has no name; add --user") from error


def _own(user: str, needed: bool) -> list[Source]:
    crontab = Crontab("" if user == me() else user)
    content = crontab.read()
    if content is not None:
        return [Source(f"crontab of {user}", content, column=False)]
    if needed:
        raise SchedulerError(f"{user} has no crontab; name a file, or --system for what is below /etc")
    return []


def _file(path: Path, column: bool | None) -> Source:
    path = path.absolute()
    try:
        return Source(str(path), read_file(path), path, column)
    except OSError as error:
        raise SchedulerError(f"{path}: cannot be read: {error.strerror}; name another file") from error


def _in(place: Path) -> list[Path]:
    """Itself, or what cron reads in a folder: no names with a dot or a tilde."""
    if not place.is_dir():
        return [place]
    return [each for each in sorted(place.iterdir()) if _is_read(each.name) and each.is_file()]


def _is_read(name: str) -> bool:
    return name.replace("-", "").replace("_", "").isalnum()
