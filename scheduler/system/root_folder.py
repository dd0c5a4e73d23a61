"""The folder in which all processes of a user share what concerns a whole root rather than one citizen."""

import hashlib
import os
from pathlib import Path

from scheduler.system.foreign_home import is_ours

NAME = ".experience"


def root_folder(root: Path) -> Path:
    """`.experience` in a root of this user; for any other root (/home) a folder in the user's state folder.

    Read its files with `only_ours`: what another user wrote there is not trusted. It may not exist yet.
    """
    if is_ours(root):
        return root / NAME
    from platformdirs import user_state_path  # 20 ms, and only for another user's root

    known = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return user_state_path("experience") / "roots" / known
