"""The time zones of this machine, its own and the named ones, from the files that the C library reads.

A zone stays the same object while its file has the same content, so that schedules in it are equal. An update
of tzdata, or setting the machine to another zone, gives a new object.
"""

import os
import re
import struct
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

from scheduler.errors import BadSchedule
from scheduler.system.files import FileStamp, read_file, stamp

LOCALTIME = "/etc/localtime"
# Summer time without its dates: those of the United States, as the C library takes them.
USUAL_DATES = ",M3.2.0,M11.1.0"
_VARIANTS = ("posix/", "right/")  # the same zones again; right/ counts leap seconds, which no clock here does
_ABBREVIATED = re.compile(r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)[0-9+-][!-~]*")


def zone_named(name: str) -> tzinfo:
    """The zone of a name (`Europe/Berlin`) or rule (`CET-1CEST,M3.5.0,M10.5.0/3`); raises BadSchedule."""
    plain = _plain(name)
    try:
        if file := _file_of(plain):
            return _zone_in(plain, file)
        if _ABBREVIATED.fullmatch(plain):
            return _zone_by_rule(plain)
        if plain in ("UTC", "GMT"):  # known to the C library also without tzdata
            return _zone_by_rule(f"{plain}0")
        if not TZPATH:  # Windows: the package tzdata
            return ZoneInfo(plain)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        pass
    raise BadSchedule(f"unknown time zone {name!r}: use a name such as Europe/Berlin")


def local_zone() -> tzinfo:
    """The machine's own time zone, from TZ or else /etc/localtime; raises BadSchedule."""
    given = os.environ.get("TZ")
    if given is None:
        return _machine_zone()
    try:
        path = given.removeprefix(":")
        if path.startswith("/") and _plain(given) == path:  # TZ is set by this user, not in a home
            return _zone_in(path, path)
        return zone_named(given) if path else zone_named("UTC")
    except (BadSchedule, ValueError, OSError) as error:
        raise BadSchedule(f"the machine's time zone is not known (TZ is {given!r}): set timezone") from error


def local_zone_name() -> str:
    """The name of the machine's own time zone, empty if it is unknown."""
    return str(_known("") or "")


def zones_now(names: Iterable[str]) -> dict[str, tzinfo]:
    """The zones of these names, and under "" the machine's own, from their files as they are now.

    Unknown ones are left out.
    """
    return {name: zone for name in {"", *names} if (zone := _known(name))}


def _known(name: str) -> tzinfo | None:
    try:
        return zone_named(name) if name else local_zone()
    except BadSchedule:
        return None


def _machine_zone() -> tzinfo:
    now = stamp(LOCALTIME)
    if now is None:  # the C library takes UTC; Windows keeps the zone elsewhere
        return _zone_of_windows() if sys.platform == "win32" else zone_named("UTC")
    try:
        return _local(now)
    except (ValueError, OSError) as error:
        raise BadSchedule(f"the machine's time zone is not known (from {LOCALTIME}): set timezone") from error


def _zone_of_windows() -> tzinfo:
    from tzlocal import get_localzone

    return get_localzone()


@lru_cache(maxsize=1)
def _local(_now: FileStamp) -> tzinfo:
    """The zone in /etc/localtime, named after the target of its link or by /etc/timezone."""
    if hasattr(time, "tzset"):
        time.tzset()  # the C library, which formats the times of log lines, does not look again by itself
    _, _, linked = str(Path(LOCALTIME).resolve()).rpartition("/zoneinfo/")
    if _file_of(_plain(linked)):
        return zone_named(linked)
    content = read_file(Path(LOCALTIME))
    return _zone(_noted_name(content), content)


def _noted_name(content: bytes) -> str:
    """The name of this zone in /etc/timezone, a file that may be out of date or missing."""
    try:
        noted = read_file(Path("/etc/timezone")).decode("ascii").strip()
        same = (file := _file_of(noted)) and read_file(Path(file)) == content
    except (OSError, ValueError):
        return LOCALTIME
    return noted if same else LOCALTIME


def _plain(name: str) -> str:
    """The name without a leading colon and the folder of the zones, which the C library ignores, too."""
    name = name.removeprefix(":")
    for folder in TZPATH:
        name = name.removeprefix(f"{folder}/")
    for folder in _VARIANTS:
        name = name.removeprefix(folder)
    return name


def _file_of(name: str) -> str | None:
    """The C library's file for this zone; None if there is none, or the name leads out of its folder."""
    if name == LOCALTIME:
        return name
    if not name.isprintable() or any(part in ("", ".", "..") for part in name.split("/")):
        return None
    paths = (f"{folder}/{name}" for folder in TZPATH)
    return next(filter(os.path.isfile, paths), None)  # each cron task asks: three times as fast as Path


def _zone_in(name: str, file: str) -> tzinfo:
    if (now := stamp(file)) is None:
        raise FileNotFoundError(file)
    return _zone_as_of(name, file, now)


@lru_cache(maxsize=1024)
def _zone_as_of(name: str, file: str, _now: FileStamp) -> tzinfo:
    return _zone(name, read_file(Path(file)))


@lru_cache(maxsize=1024)
def _zone(name: str, content: bytes) -> tzinfo:
    """The zone in this content; raises ValueError, including for offsets that dates cannot have."""
    zone = ZoneInfo.from_file(BytesIO(content), key=name)
    year = datetime(2026, 1, 1, tzinfo=UTC)
    for day in range(366):
        (year + timedelta(days=day)).astimezone(zone).utcoffset()
    return zone


@lru_cache(maxsize=1024)
def _zone_by_rule(rule: str) -> tzinfo:
    """The zone of a POSIX rule: the last line of a file without transitions; raises ValueError."""
    header = struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, 0, 1, 1)
    body = (header + struct.pack(">lbB", 0, 0, 0) + b"\0") * 2  # one for 32-bit times, one for 64-bit times
    dates = USUAL_DATES if re.search("[0-9][A-Za-z<]", rule) and "," not in rule else ""
    return _zone(rule, body + f"\n{rule}{dates}\n".encode("ascii"))
