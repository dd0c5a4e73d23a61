"""wake_log.json: the newest wakes, each in a line of its own."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from scheduler.system.files import NotDurable, read_file, read_json_for_update, replace_file, require_home

WAKES_KEPT = 1000
_BEGIN, _BETWEEN, _END = '"wakes": [\n  ', ",\n  ", "\n]}\n"


class WakeLog:
    """The log of one citizen's wakes. What is kept of it is encoded once, unless others write the file."""

    def __init__(self, home: Path) -> None:
        self._path = home / "wake_log.json"
        self._written = b""  # the digest of what was written last

    def add(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Add these wakes; blocks, raises OSError."""
        require_home(self._path.parent)
        before, wakes = self._own_lines() or self._read()
        lines = [*wakes, *map(json.dumps, entries)][-WAKES_KEPT:]
        content = f"{before}{_BEGIN}{_BETWEEN.join(lines)}{_END}".encode()
        with suppress(NotDurable):  # they are there: another attempt would record them twice
            replace_file(self._path, content, make=True)
        self._written = _digest(content)

    def _own_lines(self) -> tuple[str, list[str]] | None:
        """What stands before the wakes, and their lines, if the file is as it was written here; else None."""
        try:
            content = read_file(self._path)
        except OSError:
            return None
        if _digest(content) != self._written:
            return None
        before, _, wakes = content.decode().removesuffix(_END).partition(_BEGIN)  # no text holds a newline
        return before, wakes.split(_BETWEEN)

    def _read(self) -> tuple[str, list[str]]:
        """The same of a file that others may have written; one that is invalid is moved aside."""
        document = read_json_for_update(self._path)
        wakes = document.pop("wakes", None)
        others = [f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in document.items()]
        return "".join(["{", *others]), [json.dumps(wake) for wake in wakes] if isinstance(
            wakes, list
        ) else []


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
