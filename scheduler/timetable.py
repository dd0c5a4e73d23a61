"""What is due next: a heap with lazy deletion, one entry a task."""

import heapq
from itertools import count

from .schedule import NEVER


class Timetable:
    """Tasks by the time they are due; a task has one time or none."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._valid: dict[str, int] = {}
        self._order = count()

    def put(self, name: str, when: float) -> None:
        """The task is due at `when` and at no other time any more."""
        if when == NEVER:
            self._valid.pop(name, None)
            return
        token = self._valid[name] = next(self._order)
        heapq.heappush(self._heap, (when, token, name))

    def drop(self, name: str) -> None:
        self._valid.pop(name, None)

    def take(self, now: float) -> tuple[float, str] | None:
        """The earliest task that is due at `now`, taken off the table."""
        heap, valid = self._heap, self._valid
        while heap and heap[0][0] <= now:
            when, token, name = heapq.heappop(heap)
            if valid.get(name) == token:
                del valid[name]
                return when, name
        return None

    def next(self) -> float:
        """When something is due next, NEVER if nothing is."""
        heap, valid = self._heap, self._valid
        while heap and valid.get(heap[0][2]) != heap[0][1]:
            heapq.heappop(heap)
        return heap[0][0] if heap else NEVER
