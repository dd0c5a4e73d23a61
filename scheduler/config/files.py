"""Finds and reads settings files, and remembers their state when they were read."""

import os
import re
import stat
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from scheduler.system.files import FileStamp, allowed, stamp
from scheduler.system.foreign_home import Refused, open_file

# One citizen's file must not hold up the others: tomllib takes gigabytes for one key of 100,000 parts.
LIMIT = 256 << 10  # bytes of a settings file
DOTS = 100  # in one line, outside quotes
DEPTH = 20  # of tables in tables
SCRIPT_FOLDERS = ("scripts", "body/specialists")
SYSTEM_FILE = Path("/etc/experience/experience.toml")


class Unusable(Exception):
    """Why a file cannot be read: `FILE: what is wrong; the fix`."""


class Files:
    """Reads files, and keeps the stamp of each as of reading: None for a missing file."""

    def __init__(self) -> None:
        self.stamps: dict[str, FileStamp | None] = {}
        self.given: dict[str, frozenset[str]] = {}  # the names that each valid file sets

    def text(self, path: str) -> str | None:
        """The text of the file, None if there is none; raises Unusable."""
        content = self._bytes(path)
        if content is None:
            return None
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise Unusable(f"{path}:{line}: is not UTF-8; save it as UTF-8") from error

    def toml(self, path: str) -> dict[str, Any] | None:
        """The tables in the file, None if there is none; raises Unusable."""
        content = self.text(path)
        if content is None:
            self.given[path] = frozenset()
            return None
        _check_dots(path, content)
        try:
            tables = tomllib.loads(content)
        except (ValueError, RecursionError) as error:  # TOMLDecodeError, or endless digits or nesting
            raise Unusable(_syntax(path, content, str(error))) from error
        _check_depth(path, tables)
        self.given[path] = frozenset(_names(tables))
        return tables

    def _bytes(self, path: str) -> bytes | None:
        try:
            self.stamps[path] = stamp(path)
            handle = open_file(Path(path), os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Refused as error:
            raise Unusable(f"{path}: {error.strerror}") from error
        except OSError as error:
            whose = _closed_folder(Path(path)) or "its"
            raise Unusable(
                f"{path}: cannot be read: {error.strerror}; correct {whose} permissions"
            ) from error
        try:
            return _read(path, handle)
        finally:
            os.close(handle)


class FilesWithUnwritten(Files):
    """Files of which some have new, unwritten texts; None stands for a file that will be removed."""

    def __init__(self, texts: Mapping[str, str | None]) -> None:
        super().__init__()
        self._texts = texts

    def text(self, path: str) -> str | None:
        if path not in self._texts:
            return super().text(path)
        text = self._texts[path]
        return None if text is None else text.removeprefix("\ufeff")


def _read(path: str, handle: int) -> bytes:
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise Unusable(f"{path}: is {kind}; put a file in its place")
    with open(handle, "rb", closefd=False) as file:  # the handle is open already
        content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise Unusable(f"{path}: is longer than 256 KiB; settings never are")
    return content


def _closed_folder(path: Path) -> str:
    """The outermost folder on the path to the file that cannot be entered; "" if there is none."""
    closed = (f"the {each.name}/ folder's" for each in reversed(path.parents) if not allowed(each, os.X_OK))
    return next(closed, "")


def _names(tables: Mapping[str, Any], above: str = "") -> Iterable[str]:
    """Every key in the file, prefixed with its tables."""
    for key, value in tables.items():
        yield f"{above}{key}"
        if isinstance(value, dict):
            yield from _names(value, f"{above}{key}\n")


def _check_dots(path: str, content: str) -> None:
    for number, line in enumerate(content.splitlines(), 1):
        if line.count(".") > DOTS and re.sub(r'"[^"]*"|\'[^\']*\'', "", line).count(".") > DOTS:
            raise Unusable(
                f"{path}:{number}: has more than {DOTS} dots; put long texts in quotes, or on lines"
            )


def _check_depth(path: str, tables: dict[str, Any]) -> None:
    level: list[Any] = [tables]
    for _ in range(DEPTH):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
        if not level:
            return
    raise Unusable(f"{path}: has tables in tables, {DEPTH} deep; settings never are")


def _syntax(path: str, content: str, error: str) -> str:
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", error)
    if place is None:
        return f"{path}: cannot be read as TOML; correct it"
    line = place[1] or content.count("\n") + 1
    column = f"column {place[2]}" if place[2] else "the end"
    return f"{path}:{line}: {error[: place.start()]} at {column}; correct the TOML there"


# ------------------------------------------------------------------ where things are


def main_candidates(config: Path | None, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The places for the main file, the best first; an explicit choice is the only one."""
    if config is not None:
        return (config.absolute(),)
    if chosen := environ.get("EXPERIENCE_CONFIG"):
        return (Path(chosen).expanduser().absolute(),)
    from platformdirs import user_config_path  # takes 20 ms, so only without a choice

    return (user_config_path("experience") / "experience.toml", SYSTEM_FILE)


def default_root() -> Path:
    from platformdirs import user_data_path

    return user_data_path("experience")


def scripts(home: str, tasks: Collection[str]) -> dict[str, str]:
    """The script of each task that has a script with its name."""
    found: dict[str, str] = {}
    for folder in SCRIPT_FOLDERS:
        for name in _names_in(f"{home}/{folder}"):
            if name.endswith(".py") and name[:-3] in tasks:
                found.setdefault(name[:-3], f"{home}/{folder}/{name}")
    return found


def _names_in(folder: str) -> Iterable[str]:
    if not os.access(folder, os.F_OK):  # half the time of an error
        return ()
    try:
        return os.listdir(folder)  # noqa: PTH208  # a thousand citizens, as above
    except OSError:
        return ()
