"""Which folders of a root are the homes of citizens."""

import os
import re
from pathlib import Path

from scheduler.system.hanging_disks import hanging

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
MARKERS = ("background_tasks.json", "experience.toml")


def homes(root: Path) -> list[str]:
    """The citizens that have a folder in `root`, ignoring whatever else is there. Raises OSError."""
    try:
        with os.scandir(root) as entries:
            found = {entry.path: entry.name for entry in entries if NAME.fullmatch(entry.name)}
        silent, me = hanging(found), os.geteuid()
        ours = (root / ".").stat().st_uid == me
        return sorted(name for path, name in found.items() if path in silent or _is_home(path, me, ours))
    except FileNotFoundError:
        return []


def has_marker(home: Path) -> bool:
    """Whether a file that makes this folder a home is there."""
    return any(os.access(home / marker, os.F_OK) for marker in MARKERS)


def _is_home(folder: str, me: int, root_is_ours: bool) -> bool:
    """Whether the folder holds a marker; a closed one counts if this user owns it, or root made it for them.

    In /home most folders belong to people, who keep them closed.
    """
    for marker in MARKERS:
        if os.access(f"{folder}/{marker}", os.F_OK):
            return True
    for marker in MARKERS:  # the reason, which takes twice as long
        try:
            os.stat(f"{folder}/{marker}")  # noqa: PTH116  # a thousand citizens each second
        except PermissionError:
            owner = os.stat(folder).st_uid  # noqa: PTH116  # as above
            # Only a file server that does not trust root (root_squash) closes a folder to it.
            return me != 0 and (owner == me or (root_is_ours and owner == 0))
        except OSError:
            continue
        return True
    return False
