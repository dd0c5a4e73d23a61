"""What is due next: a heap with lazy deletion, one entry a task."""

import heapq
from itertools import count

from scheduler.core.schedule import NEVER
from scheduler.engine.registry import Job


class DueQueue:
    """Tasks by the time they are due; a task has one time or none."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Job]] = []
        self._order = count(1)
        self._prune_at = 64

    def put(self, job: Job, when: float) -> None:
        """The task is due at `when` and at no other time any more."""
        if when == NEVER:
            job.entry = 0
            return
        job.entry = entry = next(self._order)
        heap = self._heap
        heapq.heappush(heap, (when, entry, job))
        if len(heap) > self._prune_at:  # a task forced again and again leaves one behind each time
            heap[:] = [each for each in heap if each[2].entry == each[1]]
            heapq.heapify(heap)
            self._prune_at = 2 * len(heap) + 64

    def drop(self, job: Job) -> None:
        job.entry = 0

    def take(self, now: float) -> tuple[float, Job] | None:
        """The earliest task that is due at `now`, taken off the table."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            when, entry, job = heapq.heappop(heap)
            if job.entry == entry:
                job.entry = 0
                return when, job
        return None

    def next(self) -> float:
        """When something is due next, NEVER if nothing is."""
        heap = self._heap
        while heap and heap[0][2].entry != heap[0][1]:
            heapq.heappop(heap)
        return heap[0][0] if heap else NEVER
