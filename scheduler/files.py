"""Small JSON files of a home: read whatever is there, replace them whole."""

import json
import logging
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

log = logging.getLogger("experience.files")


def read_json(path: Path, default: dict[str, Any]) -> dict[str, Any]:
    """The object in the file; `default` when there is none or it is no object."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return default
    return content if isinstance(content, dict) else default


def for_update(path: Path) -> dict[str, Any]:
    """The object in the file, to be written back; what is no object is set aside, not lost."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        return content
    set_aside(path)
    return {}


def set_aside(path: Path) -> Path:
    """Move a file that cannot be understood out of the way, under a name that says so."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.corrupt-{moment}")
    path.replace(aside)
    log.error("file set aside", extra={"path": str(path), "aside": str(aside)})
    return aside


def write_json(path: Path, content: Any) -> None:
    """Replace the file by `content`, whole or not at all; a new file is readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
    partial = path.with_name(f".{path.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - the mode is set at creation
        os.fchmod(descriptor, mode)
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(descriptor)
    partial.replace(path)
