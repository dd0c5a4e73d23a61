"""Percentiles, and ratios that survive a noisy machine."""

import math
from collections.abc import Sequence
from statistics import median

Sample = dict[str, float]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all do not exceed; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def middle(samples: Sequence[Sample], key: str) -> float:
    """The median over repeats."""
    return median(sample[key] for sample in samples)


def ratio(ours: Sequence[Sample], theirs: Sequence[Sample], key: str) -> float:
    """The median of the ratios of repeats that were taken side by side."""
    return median(
        mine[key] / other[key] if other[key] else math.inf for mine, other in zip(ours, theirs, strict=True)
    )
