"""Turns urgent mail into work: one file in tasks/queue per message, never twice."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import iso
from scheduler.handlers.home_files import count_files, read_memory, task_fails, write_memory
from scheduler.system.files import require_home, write_json

KEPT = 400 * 86400.0  # seconds that a message is remembered after it was last seen unread
REFRESH = 86400.0  # seconds after which seeing a message again is saved
FULL = 5000  # files in the queue; with as many, messages stay unqueued until it gets shorter

_MEMORY = Path(".experience") / "urgent_mail.json"
_SEEN = "seen"


class MailQueue:
    """The queue of one home, and the memory of what was queued before."""

    def __init__(self, home: Path, now: float, window: float) -> None:
        self._folder, self._memory, self._now = home / "tasks" / "queue", home / _MEMORY, now
        self._kept = max(KEPT, 2 * window)
        self._changed = False
        self._document = read_memory(self._memory)
        self._seen = self._known()
        self.room = max(0, FULL - count_files(self._folder))

    def knows(self, key: str) -> bool:
        """Whether this message was queued before; asking keeps it remembered."""
        if key not in self._seen:
            return False
        if self._now - self._seen[key] > REFRESH:
            self._seen[key], self._changed = self._now, True
        return True

    def add(self, key: str, work: Mapping[str, Any]) -> None:
        """Queue this work; the next `save` remembers it.

        The file is named after the message, so that a run that dies between the two does not queue it twice.
        """
        file = self._folder / f"email_{key}.json"
        with task_fails(file, "cannot be saved"):
            if not file.exists():
                require_home(self._folder.parent.parent)
                write_json(file, work)
        self._seen[key], self._changed = self._now, True
        self.room -= 1

    def save(self) -> None:
        """Remember what was queued, and forget messages that were not seen for KEPT."""
        if self._changed:
            write_memory(self._memory, {**self._document, _SEEN: self._seen})
            self._changed = False

    def _known(self) -> dict[str, float]:
        seen = self._document.get(_SEEN)
        entries = seen.items() if isinstance(seen, dict) else ()
        oldest = self._now - self._kept
        return {key: float(at) for key, at in entries if isinstance(at, int | float) and at > oldest}


def work(email: Mapping[str, Any], subject: str, priority: str, now: float) -> dict[str, Any]:
    """The file as v2 wrote it."""
    return {
        "type": "process_email",
        "description": f"Process email: {subject or 'no subject'}",
        "email": email,
        "created": iso(now),
        "priority": priority,
    }
