"""How long runs of a task usually take."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

RUNS_ENOUGH = 10  # to say what is usual
SLOWER = 1.5  # times the median, and beyond the 95th percentile: slower than usual


@dataclass(frozen=True, slots=True)
class Usual:
    """How long runs of a task take: the median, and what 19 of 20 stay below."""

    p50: float
    p95: float

    def slow(self, seconds: float) -> bool:
        return seconds > self.p95 and seconds > SLOWER * self.p50


def usual(seconds: Sequence[float]) -> Usual | None:
    """What is usual among these durations; None while there are too few."""
    if len(seconds) < RUNS_ENOUGH:
        return None
    cuts = quantiles(seconds, n=20, method="inclusive")
    return Usual(cuts[9], cuts[18])
