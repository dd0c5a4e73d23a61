"""Decides when a displaced home counts as lost: its disk may be mounted again in a moment."""

import asyncio
import os
from collections.abc import Callable, Collection
from pathlib import Path

from scheduler.control.following.settings_watch import TAKEN_AWAY
from scheduler.errors import Owned, SchedulerError, Unreadable
from scheduler.process.process_info import Running
from scheduler.storage.lock import owner_of
from scheduler.system.homes import has_marker


class DisplacedHomes:
    """The homes of this process whose lock is not in its place."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self.since: dict[str, float] = {}  # by citizen, when a home without its files was first seen

    def keep(self, names: Collection[str]) -> None:
        """Forget all citizens but these: their homes are back."""
        self.since = {name: since for name, since in self.since.items() if name in names}

    async def why_lost(self, name: str, home: Path) -> SchedulerError | None:
        """Why the home is lost: Owned (another owner, or no lock), Unreadable (gone or empty), or None."""
        # Some file systems change a file's inode number, so the owner's note decides.
        owner, there = await asyncio.to_thread(_owner_and_files, home)
        if owner and owner.pid == os.getpid():
            return None
        now = self._elapsed()
        # A home without its files may be on a disk that is mounted again in a moment.
        if not (owner or there) and now - self.since.setdefault(name, now) < TAKEN_AWAY:
            return None
        if owner or there:
            reason = f"owned by pid {owner.pid}" if owner else "its lock was removed"
            return Owned(f"{name}: {reason}")
        exists = await asyncio.to_thread(home.is_dir)
        why = "is empty; mount its disk or put its files back" if exists else "No such file or directory"
        return Unreadable(f"{home}: {why}; it runs again when it is back")


def _owner_and_files(home: Path) -> tuple[Running | None, bool]:
    """The owner by the home's note, and whether the citizen's files are there."""
    return owner_of(home), has_marker(home)
