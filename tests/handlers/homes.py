"""Homes full of what file systems allow, and what a tree is, down to the nanosecond."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

LEFT_OUT = (
    *(".env", "body/.env", ".env.old", ".cache/x", "a/__pycache__/m.pyc", "web/node_modules/m/i.js"),
    *("logs/experience.log", "a/server.log", "a/server.log.1", "a/server.log.2.gz", "a/run.pid"),
    *("a/empty.lock", "a/held.lock", ".experience/lock", ".experience/owner.json"),
)
ODD_NAMES = (
    *(b"two\nlines", b"not-\xff\xfe-utf8", b"blank at the end ", b" blank first", b"-rf", b"$HOME", b"~"),
    *(b"we[ir]d*?", b"back\\slash", b"#comment", b"!not", b"carriage\r", "ünïcødé 猫".encode(), b"n" * 255),
)


def write(path: Path, content: str | bytes = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def database(path: Path, rows: int = 10, journal: str = "delete") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as found:
        found.execute(f"pragma journal_mode = {journal}")
        found.execute("create table numbers (n, text)")
        found.executemany("insert into numbers values (?, ?)", [(n, "x" * 100) for n in range(rows)])
        found.commit()
    return path


def odd_home(home: Path) -> Path:
    """One of everything: odd names, modes, times, links, holes, databases; and all that is to be left out."""
    for number, name in enumerate(ODD_NAMES):
        write(home / "odd" / os.fsdecode(name), f"file {number}")
    write(home / "memory/raw/2026/03/01.json", '[{"type": "wake_complete"}]')
    write(home / "memory/nothing", "")
    write(home / "poetry.lock", "[[package]]\n" * 20)
    write(home / "body/script.py", "print()").chmod(0o750)
    write(home / "body/secret", "s").chmod(0o400)
    write(home / "random", os.urandom(700_001))
    with write(home / "hole", b"begin").open("r+b") as file:
        file.truncate(3_000_000)
    (home / "body/again").hardlink_to(home / "body/script.py")
    (home / "to-file").symlink_to("memory/nothing")
    (home / "to-nowhere").symlink_to(os.fsdecode(b"no/\xff/where"))
    (home / "to-outside").symlink_to("/etc/passwd")
    (home / "empty/in/empty").mkdir(parents=True)
    os.mkfifo(home / "pipe")
    database(home / "runs.db")
    database(home / os.fsdecode(b"odd/d\xff\n$HOME [x] .db"), journal="wal")
    deep = home / "deep"
    for _ in range(12):
        deep = deep / ("d" * 120)
    write(deep / "bottom")
    for name in LEFT_OUT:
        write(home / name, "4711\n" if name.endswith("held.lock") else b"" if ".lock" in name else "s3cret")
    _age(home)
    return home


def _age(home: Path) -> None:
    """Every time its own, some from before 1970, each with nanoseconds."""
    (home / "empty/in").chmod(0o2751)
    for number, (folder, folders, names) in enumerate(os.walk(home, topdown=False)):
        for each, name in enumerate((*names, *folders)):
            when = (-1 if each == 3 else 1) * (10**18 + number * 10**9 + each * 1_000_003 + 7)
            os.utime(Path(folder, name), ns=(when, when), follow_symlinks=False)


def tree(top: Path, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Everything below: kind, mode, owner, time, content, and which names are one file."""
    found: dict[str, Any] = {}
    for folder, folders, names in os.walk(top):
        folders[:] = [each for each in folders if Path(folder, each) != top / ".experience"]
        for name in (*folders, *names):
            path = Path(folder, name)
            found[str(path.relative_to(top))] = _facts(path)
    return {name: facts for name, facts in found.items() if not _under(name, without)}


def _under(name: str, without: tuple[str, ...]) -> bool:
    return any(name == each or name.startswith(f"{each}/") for each in without)


def _facts(path: Path) -> tuple[Any, ...]:
    about = path.lstat()
    content: Any = None
    if stat.S_ISLNK(about.st_mode):
        content = os.readlink(path)  # noqa: PTH115 - a Path would tidy it up
    elif stat.S_ISREG(about.st_mode):
        content = path.read_bytes()
    mode = 0 if stat.S_ISLNK(about.st_mode) else about.st_mode
    links = about.st_nlink if stat.S_ISREG(about.st_mode) else 1
    return (stat.S_IFMT(about.st_mode), mode, about.st_uid, about.st_mtime_ns, links, content)


def expected(home: Path) -> dict[str, Any]:
    """What of an odd home belongs into a backup."""
    whole = (".cache", "logs", "a/__pycache__", "web/node_modules")
    return tree(home, (*LEFT_OUT, *whole))
