"""Chooses the files for a backup: all but secrets, caches, logs, locks and the backup itself."""

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from scheduler.core.task import Report
from scheduler.system.foreign_home import make_folder

STAGED = ".experience/staged"  # copies of databases during a backup
OWN = ".experience/restic"  # restic's cache and its list of exclusions

# A name matches anywhere, a pattern with a slash only from the home on; `*` and `?` match no slash.
SECRETS = (".env", ".env.*")
CACHES = (
    *(".cache", "__pycache__", "*.pyc", "node_modules", ".venv", ".tox", ".npm", ".pnpm-store"),
    *(".mypy_cache", ".pytest_cache", ".ruff_cache", "/.local/share/Trash", "lost+found"),
)
LOGS = ("/logs", "*.log", "*.log.?", "*.log.??", "*.log.gz", "*.log.*.gz")
VOLATILE = (
    *("*.pid", "*.swp", ".#*", ".~lock.*#", ".*.partial", ".background_tasks.json.*ing"),
    *(f"/.experience/{name}" for name in ("lock", "lock.*", "owner.json", "owner.partial", "*.sock")),
    "/.experience-group",
    "/.experience/backups.json",  # the disk of this machine's backups
)
ALWAYS = (*SECRETS, *CACHES, *LOGS, *VOLATILE, f"/{OWN}")

LOCK_LIMIT = 64  # bytes: a lock holds a pid at most; files like `poetry.lock` are longer
# For reading a file that may have become a link or a pipe since it was listed.
NO_FOLLOW_NO_BLOCK = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_DATABASE = b"SQLite format 3\0"
_COMPANIONS = ("-wal", "-shm", "-journal")  # of a database; useless or harmful without it

Problem = Callable[[str, str], None]  # gets the path and the problem with it


class Part(Enum):
    """What to do with an entry."""

    KEEP = auto()
    COPY = auto()  # a database, kept as a copy of one moment
    LEAVE = auto()  # left out for what it is, not for its name


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of the home: its path relative to the home, and its status when it was listed."""

    path: str
    stat: os.stat_result
    part: Part = Part.KEEP

    @property
    def size(self) -> int:
        return self.stat.st_size if stat.S_ISREG(self.stat.st_mode) else 0


@dataclass(frozen=True, slots=True)
class Rules:
    """The files to leave out: by pattern, and by identity those that hold secrets or backups."""

    patterns: tuple[str, ...]
    by_name: re.Pattern[str]
    by_path: re.Pattern[str]
    same_as: frozenset[tuple[int, int]]

    def leave_out(self, path: str, name: str) -> bool:
        return bool(self.by_name.fullmatch(name) or self.by_path.fullmatch(path))


def own_folder(home: Path) -> None:
    """Make the scheduler's own folder in the home."""
    make_folder(home / ".experience")


def rules(home: Path, exclude: Iterable[str], targets: Iterable[Path]) -> Rules:
    """The rules for this home; `targets` hold the backups, wherever they are."""
    patterns = (*ALWAYS, *exclude)
    names = [each.rstrip("/") for each in patterns if "/" not in each.rstrip("/")]
    paths = [each.strip("/") for each in patterns if "/" in each.rstrip("/")]
    found = map(_identity, (home / ".env", *targets))
    return Rules(patterns, _expression(names), _expression(paths), frozenset(filter(None, found)))


def walk(home: Path, rules: Rules, problem: Problem) -> Iterator[Entry]:
    """All entries that no pattern leaves out, folders before their content, always in the same order.

    Raises OSError if the home itself cannot be listed, so that it does not count as empty.
    """
    waiting = _listed(home, "", rules, problem)
    while waiting:
        entry = waiting.pop()
        yield entry
        if stat.S_ISDIR(entry.stat.st_mode) and entry.part is Part.KEEP:
            waiting += _listed(home, entry.path, rules, problem)


def _listed(home: Path, folder: str, rules: Rules, problem: Problem) -> list[Entry]:
    """The entries of the folder in reverse order, as a stack."""
    try:
        names = sorted(os.listdir(home / folder), reverse=True)  # noqa: PTH208 - only the names are wanted
    except OSError as error:
        if not folder:
            raise
        problem(folder, error.strerror or "cannot be read")
        return []
    paths = {name: f"{folder}/{name}" if folder else name for name in names}
    kept = {name: path for name, path in paths.items() if not rules.leave_out(path, name) and path != STAGED}
    stats = {name: found for name, path in kept.items() if (found := _stat(home, path, problem))}
    databases = {name for name, found in stats.items() if _is_database(home / kept[name], found)}
    besides = {name + suffix for name in databases for suffix in _COMPANIONS}

    def part(name: str) -> Part:
        if name in besides or _left_by_kind(home / kept[name], stats[name], rules):
            return Part.LEAVE
        return Part.COPY if name in databases else Part.KEEP

    return [Entry(kept[name], stats[name], part(name)) for name in names if name in stats]


def _stat(home: Path, path: str, problem: Problem) -> os.stat_result | None:
    try:
        return (home / path).lstat()
    except FileNotFoundError:
        return None  # removed since it was listed
    except OSError as error:
        problem(path, error.strerror or "cannot be read")
        return None


def _left_by_kind(path: Path, found: os.stat_result, rules: Rules) -> bool:
    mode = found.st_mode
    if stat.S_ISSOCK(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return True
    return (found.st_dev, found.st_ino) in rules.same_as or _is_lock(path, found)


def _is_lock(path: Path, found: os.stat_result) -> bool:
    if path.suffix != ".lock" or not stat.S_ISREG(found.st_mode) or found.st_size > LOCK_LIMIT:
        return False
    return not found.st_size or first_bytes(path, LOCK_LIMIT).strip().isdigit()


def _is_database(path: Path, found: os.stat_result) -> bool:
    whole = found.st_size and found.st_size % 512 == 0
    return bool(whole) and stat.S_ISREG(found.st_mode) and first_bytes(path, 16) == _DATABASE


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of the file; none if it cannot be read."""
    try:
        handle = os.open(path, NO_FOLLOW_NO_BLOCK)
    except OSError:
        return b""
    try:
        return os.read(handle, count)
    except OSError:
        return b""
    finally:
        os.close(handle)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _expression(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(_translated, patterns)) or r"(?!)", re.DOTALL)


def _translated(pattern: str) -> str:
    wild = {"*": "[^/]*", "?": "[^/]"}
    return "".join(wild.get(letter) or re.escape(letter) for letter in pattern)


NAMED = 3  # files that a warning names


@dataclass(slots=True)
class Missing:
    """The files that could not be backed up properly: the first few by name, the others counted."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, name: str, why: str) -> None:
        self.count += 1
        if len(self.named) < NAMED:
            self.named.append(f"{name} ({why})")


def report(text: str, missing: Missing, *warnings: str) -> str | Report:
    """The text, as a warning if anything is missing."""
    parts = [text, *warnings]
    if missing.count:
        more = f" and {missing.count - len(missing.named)} more" if missing.count > len(missing.named) else ""
        parts.insert(1, f"not as it should be: {', '.join(missing.named)}{more}")
    return Report("; ".join(parts), warning=True) if len(parts) > 1 else text


def files(count: int) -> str:
    """The number of files as text."""
    return f"{count:,} {'file' if count == 1 else 'files'}"


def scrubbed(text: str, secrets: Collection[str]) -> str:
    """`text` without the secrets and without passwords in addresses."""
    # Replacing short values such as "1" would garble the text.
    for value in sorted((each for each in secrets if len(each) > 3), key=len, reverse=True):
        text = text.replace(value, "***")
    return re.sub(r"//[^/@\s]*@", "//***@", text)


def no_backup(error: OSError, place: object) -> str:
    """The reason why there is no backup: the error and where it occurred."""
    where = error.filename or place
    where = os.fsdecode(where) if isinstance(where, bytes) else where
    return f"no backup: {where}: {error.strerror or error}"
