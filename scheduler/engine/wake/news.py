"""What is new since the last wake: the gate `news`."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from scheduler.core.task import Outcome, Task
from scheduler.engine.wake.results import TaskResult

FILES = 20_000  # below one path of the gate; further ones are not looked at

Seen = Mapping[str, str]  # what there was when the citizen was last woken, with a fingerprint of each


def seen(home: Path, paths: Sequence[str], words: Seen) -> Seen:
    """Return what a wake that begins now will see; `words` come from the tasks. Blocks."""
    return {**words, **dict(_queue(home)), **{f"path {path}": _below(home / path) for path in paths}}


def words_of(results: Iterable[TaskResult], tasks: Mapping[str, Task], before: Seen) -> Seen:
    """The last result of each task, without its text where a new text is not news."""
    said = {name: text for name, text in before.items() if name.startswith("task ")}
    return said | {f"task {each.task}": _words(each, tasks.get(each.task)) for each in results}


def news(
    before: Seen, now: Seen, results: Iterable[TaskResult], tasks: Mapping[str, Task]
) -> tuple[str, ...]:
    """What is new in `now` or in these runs (oldest first), compared with `before`."""
    found = [_named(name) for name, mark in now.items() if _is_file(name) and before.get(name) != mark]
    said = dict(before)
    for each in results:
        name, words = f"task {each.task}", _words(each, tasks.get(each.task))
        if said.get(name) != words:
            found.append(f"{each.task} {_how(each, said.get(name))}")
        said[name] = words
    return tuple(dict.fromkeys(found))


def _words(result: TaskResult, task: Task | None) -> str:
    """The outcome; for a task whose text is news, also a fingerprint of the text."""
    how = "failed" if result.outcome.bad else "warning" if result.outcome is Outcome.WARNING else "ok"
    return f"{how} {_print(result.text)}" if task is None or task.news else how


def _how(result: TaskResult, before: str | None) -> str:
    if result.outcome.bad:
        return "failed"
    return "recovered" if before and before.startswith("failed") else "said something else"


def _is_file(name: str) -> bool:
    return name.startswith(("queue ", "path "))


def _named(name: str) -> str:
    kind, _, what = name.partition(" ")
    return f"{what} in the queue" if kind == "queue" else f"a change below {what}"


def _queue(home: Path) -> Iterator[tuple[str, str]]:
    """The files of queued work, each with a mark that differs after a change."""
    for entry in _entries(home / "tasks" / "queue"):
        if entry.name.endswith(".json") and (mark := _mark(entry)):
            yield f"queue {entry.name}", mark


def _below(path: Path) -> str:
    """A fingerprint of the names, sizes and times of all files below; links are not followed."""
    found, left, marks = blake2b(digest_size=8), [path], 0
    try:
        status = path.lstat()
    except OSError:
        return "nothing"
    if not stat.S_ISDIR(status.st_mode):
        return f"{status.st_mtime_ns} {status.st_size}"
    while left and marks < FILES:
        for entry in sorted(_entries(left.pop()), key=lambda each: each.name):
            marks += 1
            found.update(f"{entry.path}\0{_mark(entry)}\0".encode("utf-8", "surrogateescape"))
            if entry.is_dir(follow_symlinks=False):
                left.append(Path(entry.path))
    return found.hexdigest()


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _mark(entry: os.DirEntry[str]) -> str:
    """Time and size of a file; of a folder only its existence, since its time changes with its files."""
    try:
        if entry.is_dir(follow_symlinks=False):
            return "folder"
        status = entry.stat(follow_symlinks=False)
    except OSError:  # it has just been removed
        return ""
    return f"{status.st_mtime_ns} {status.st_size}"


def _print(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
