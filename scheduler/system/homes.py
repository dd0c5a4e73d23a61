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
        silent, ours = hanging(found), _is_ours(f"{root}/.")
        return sorted(name for path, name in found.items() if path in silent or _is_home(path, ours))
    except FileNotFoundError:
        return []


def _is_home(folder: str, root_is_ours: bool) -> bool:
    """Whether it holds a marker. One that is closed to us may: it counts if it, or the root, is ours.

    In /home most folders are people, who keep theirs closed.
    """
    for marker in MARKERS:
        try:
            os.stat(f"{folder}/{marker}")  # noqa: PTH116  # a thousand citizens each second
        except PermissionError:
            return root_is_ours or _is_ours(folder)
        except OSError:
            continue
        return True
    return False


def _is_ours(folder: str) -> bool:
    """Never root's: it may enter all folders but those of a server that does not believe it."""
    return 0 != os.stat(folder).st_uid == os.geteuid()  # noqa: PTH116  # as above
