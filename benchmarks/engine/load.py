"""The load of every dispatch measurement: staggered intervals, and a record of how late runs began."""

import asyncio
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.numbers import Sample, percentile

GOLDEN = 0.6180339887498949
WARM_UP = 1.0  # seconds that are not counted


@dataclass(frozen=True, slots=True)
class Planned:
    """A job's interval, and where in its first one (0..1) it is due."""

    every: float
    phase: float


def staggered(count: int) -> list[Planned]:
    """Intervals of 1 to 10 s, evenly spread: 0.293 runs a second per job, never many at once."""
    return [Planned(1.0 + i % 10, i * GOLDEN % 1.0) for i in range(count)]


class FinishLine:
    """Notes when runs began, until so many have."""

    def __init__(self, runs: int) -> None:
        self._left, self._all = runs, asyncio.Event()
        self.last = 0.0

    def passed(self) -> None:
        self.last = time.time()
        self._left -= 1
        if not self._left:
            self._all.set()

    async def seconds_since(self, due: float) -> Sample:
        """Wait for the last one; the CPU time tells more than the other where machines are shared.

        It counts from now: on a busy machine a sleep until shortly before wakes up after the first runs.
        """
        cpu = time.process_time()
        await self._all.wait()
        return {"seconds": self.last - due, "cpu": time.process_time() - cpu}


class Record:
    """When runs were due and how late each of them began."""

    def __init__(self) -> None:
        self._due, self._late = array("d"), array("d")

    def began(self, now: float, due: float) -> None:
        self._due.append(due)
        self._late.append(now - due)

    async def window(self, seconds: float, plan: Sequence[Planned]) -> Sample:
        """Let `seconds` pass, after a warm-up, and sum up the runs that were due in them."""
        begin = time.time() + WARM_UP
        end = begin + seconds
        await asyncio.sleep(end + 0.5 - time.time())
        late = [late for due, late in zip(self._due, self._late, strict=True) if begin < due <= end]
        expected = seconds * sum(1 / job.every for job in plan)
        return {
            "p50": percentile(late, 50) * 1e3,
            "p99": percentile(late, 99) * 1e3,
            "max": max(late, default=0.0) * 1e3,
            "runs": len(late),
            "expected": expected,
            # Every interval is a second at least: a run that began within one has missed no slot.
            "missed": sum(each > 1 for each in late),
        }
