"""Appends to a file of lines, so that a crash costs at most the line that was being written."""

import os
from pathlib import Path


def append_lines(file: Path, data: bytes) -> int:
    """Add whole lines; half a line, from a crash or a full disk, is ended first. The size now, in bytes."""
    file.parent.mkdir(exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open(descriptor, "r+b", buffering=0) as lines:  # noqa: PTH123 - the mode is set at creation
        end = lines.seek(0, os.SEEK_END)
        if end and os.pread(descriptor, 1, end - 1) != b"\n":
            data = b"\n" + data
        while data:
            data = data[os.write(descriptor, data) :]
        return os.fstat(descriptor).st_size
