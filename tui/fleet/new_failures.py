"""Notices when a task fails that did not fail before."""

from scheduler.core.views import Snapshot


class NewFailures:
    """Compares each snapshot with the one before; what failed when it was first seen is not new."""

    def __init__(self) -> None:
        self._failing: dict[str, frozenset[str]] = {}

    def has_more(self, snapshot: Snapshot) -> bool:
        """Does a task of this citizen fail that did not when it was last looked at?"""
        failing = frozenset(task.name for task in snapshot.tasks if task.error is not None)
        before = self._failing.get(snapshot.citizen)
        self._failing[snapshot.citizen] = failing
        return before is not None and not failing <= before
