"""Reads and writes the files that built-in tasks keep in a home; a failure names the file and the reason."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scheduler.errors import TaskFailed
from scheduler.system.files import read_json_for_update, require_home, write_json
from scheduler.system.foreign_home import make_folder, open_file


@contextmanager
def task_fails(file: Path, problem: str) -> Iterator[None]:
    """Turn an OSError into a TaskFailed: `file cannot be written: no space left on device`."""
    try:
        yield
    except OSError as error:
        reason, _, fix = problem.partition("; ")
        raise TaskFailed(f"{file} {reason}: {error.strerror}{fix and '; '}{fix}") from error


def read_memory(file: Path) -> dict[str, Any]:
    """The memory of a task between runs; a file that is not a JSON object is moved aside."""
    with task_fails(file, "cannot be read; correct its owner"):
        return read_json_for_update(file)


def write_memory(file: Path, document: Mapping[str, Any]) -> None:
    """Remember `document` for the next run."""
    with task_fails(file, "cannot be saved"):
        require_home(file.parent.parent)
        write_json(file, document)


def append_lines(file: Path, data: bytes) -> int:
    """Append whole lines, so that a crash costs at most one line; returns the new size in bytes."""
    with task_fails(file, "cannot be written"):
        make_folder(file.parent)
        descriptor = open_file(file, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        with open(descriptor, "r+b", buffering=0) as lines:  # noqa: PTH123 - the mode is set at creation
            end = lines.seek(0, os.SEEK_END)
            if end and os.pread(descriptor, 1, end - 1) != b"\n":  # half a line, from a crash or a full disk
                data = b"\n" + data
            while data:
                data = data[os.write(descriptor, data) :]
            return os.fstat(descriptor).st_size


def count_files(folder: Path) -> int:
    """The number of entries in a folder; 0 if it cannot be listed."""
    try:
        return sum(1 for _ in folder.iterdir())
    except OSError:
        return 0
