"""Which folders of a root are the homes of citizens."""

import os
import re
from pathlib import Path

from scheduler.system.hanging_disks import hanging

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


MARKERS = ("background_tasks.json", "experience.toml")


def homes(root: Path) -> list[str]:
    """The citizens that have a folder in `root`; whatever else is there is left alone. Raises OSError."""
    try:
        with os.scandir(root) as entries:
            found = {entry.path: entry.name for entry in entries if NAME.fullmatch(entry.name)}
        silent = hanging(found)
        return sorted(name for path, name in found.items() if path in silent or _is_home(path))
    except FileNotFoundError:
        return []


def _is_home(folder: str) -> bool:
    # os.path.exists also answers "no" for what we may not look into: in /home most folders are people.
    return any(os.path.exists(f"{folder}/{marker}") for marker in MARKERS)  # noqa: PTH110  # speed, as above
