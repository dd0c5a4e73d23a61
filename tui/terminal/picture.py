"""Saves a picture of the screen as a new file."""

import os
import time
from collections.abc import Iterator
from pathlib import Path


def save_picture(text: str, now: float, folders: tuple[Path, ...]) -> Path:
    """Write it into the first folder that allows it, under a free name; return its path.

    Raises the OSError of the last folder.
    """
    for last, folder in enumerate(folders, 1 - len(folders)):
        try:
            return _written(text, folder, now)
        except OSError:
            if last == 0:
                raise
    raise FileNotFoundError("no folder for a picture")


def _written(text: str, folder: Path, now: float) -> Path:
    for path in _names(folder, now):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - it is created, never replaced
            file.write(text)
        return path
    raise FileExistsError(f"no free name for a picture in {folder}")


def _names(folder: Path, now: float) -> Iterator[Path]:
    """`experience-2026-03-02-120000.svg`, then with `-2`, and so on."""
    name = time.strftime("experience-%Y-%m-%d-%H%M%S", time.localtime(now))
    yield folder / f"{name}.svg"
    yield from (folder / f"{name}-{number}.svg" for number in range(2, 100))
