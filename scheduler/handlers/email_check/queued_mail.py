"""Work from urgent mail: one file in tasks/queue per message, once ever."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scheduler.errors import TaskFailed
from scheduler.system.files import read_json_for_update, write_json

KEPT = 400 * 86400.0  # seconds that a message is remembered after it was last seen unread
REFRESH = 86400.0  # seconds after which being seen again is worth a write
FULL = 5000  # files in the queue from which on messages wait, unqueued, for somebody to work it off

_MEMORY = Path(".experience") / "urgent_mail.json"
_SEEN = "seen"


class MailQueue:
    """The queue of one home, and the memory of what was ever put there."""

    def __init__(self, home: Path, now: float, window: float) -> None:
        self._folder, self._memory, self._now = home / "tasks" / "queue", home / _MEMORY, now
        self._kept = max(KEPT, 2 * window)
        self._changed = False
        try:
            self._document = read_json_for_update(self._memory)
        except OSError as error:
            raise TaskFailed(f"{self._memory} cannot be read: {error.strerror}; make it ours") from error
        self._seen = self._known()
        self.room = max(0, FULL - _files(self._folder))

    def knows(self, key: str) -> bool:
        """Whether this message was queued before; being asked keeps it in memory."""
        if key not in self._seen:
            return False
        if self._now - self._seen[key] > REFRESH:
            self._seen[key], self._changed = self._now, True
        return True

    def add(self, key: str, work: Mapping[str, Any]) -> None:
        """Queue this work; it is remembered with the next `save`.

        The name comes from the message, so that a run which died between the two does not queue it twice.
        """
        file = self._folder / f"email_{key}.json"
        try:
            if not file.exists():
                write_json(file, work)
        except OSError as error:
            raise TaskFailed(f"{file} cannot be saved: {error.strerror}") from error
        self._seen[key], self._changed = self._now, True
        self.room -= 1

    def save(self) -> None:
        """Remember what was queued; what nobody has seen for KEPT is forgotten."""
        if not self._changed:
            return
        try:
            self._memory.parent.mkdir(mode=0o700, exist_ok=True)
            write_json(self._memory, {**self._document, _SEEN: self._seen})
        except OSError as error:
            raise TaskFailed(f"{self._memory} cannot be saved: {error.strerror}") from error
        self._changed = False

    def _known(self) -> dict[str, float]:
        seen = self._document.get(_SEEN)
        entries = seen.items() if isinstance(seen, dict) else ()
        oldest = self._now - self._kept
        return {key: float(at) for key, at in entries if isinstance(at, int | float) and at > oldest}


def work(letter: Mapping[str, Any], subject: str, priority: str, now: float) -> dict[str, Any]:
    """The file as v2 wrote it."""
    return {
        "type": "process_email",
        "description": f"Process email: {subject or 'no subject'}",
        "email": letter,
        "created": datetime.fromtimestamp(now, UTC).isoformat(),
        "priority": priority,
    }


def _files(folder: Path) -> int:
    try:
        return sum(1 for _ in folder.iterdir())
    except OSError:
        return 0  # none yet; one that cannot be used says so when the first file is written
