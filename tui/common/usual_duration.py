"""How long runs of a task usually take."""

from collections.abc import Sequence

from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome
from scheduler.core.values import value

ENDED = frozenset((Outcome.OK, Outcome.WARNING, Outcome.FAILED))  # outcomes of runs that ended by themselves
RUNS_ENOUGH = 10  # the fewest runs from which a usual duration is computed
SLOWER = 1.5  # slower than usual: beyond the 95th percentile and so many times the median
STEP, STEP_RUNS = 1.25, 3  # runs have become slower: so many times the mean before, for at least so many runs


@value
class Usual:
    """How long runs of a task take: the median, and what 19 of 20 stay below."""

    p50: float
    p95: float

    def slow(self, seconds: float) -> bool:
        return seconds > self.p95 and seconds > SLOWER * self.p50


def usual(seconds: Sequence[float]) -> Usual | None:
    """The usual duration, from these durations; None if there are too few."""
    if len(seconds) < RUNS_ENOUGH:
        return None
    from statistics import quantiles  # not needed for the first frame

    cuts = quantiles(seconds, n=20, method="inclusive")
    return Usual(cuts[9], cuts[18])


@value
class Slowdown:
    """Since the run that began at `since`, runs take longer: `more` is the increase over the mean before."""

    since: float
    more: float


def slowdown(runs: Sequence[RunRecord]) -> Slowdown | None:
    """The step after which every run takes longer than the usual ones before it; `runs` is newest first."""
    from statistics import fmean

    seconds = [run.seconds for run in runs]
    best: Slowdown | None = None
    for count in range(STEP_RUNS, len(runs) - RUNS_ENOUGH + 1):
        before = usual(seconds[count:])
        if before is None or min(seconds[:count]) <= before.p95:
            break
        share = fmean(seconds[:count]) / fmean(seconds[count:])
        if share >= STEP:
            best = Slowdown(runs[count - 1].started, share - 1)
    return best


@value
class Habits:
    """The usual duration of a task, the durations it is based on, and how long the current run has taken."""

    usual: Usual | None = None
    slowdown: Slowdown | None = None
    seconds: Sequence[float] = ()
    gone: float | None = None

    @property
    def slow(self) -> bool:
        """Whether the run under way is slower than usual."""
        return self.usual is not None and self.gone is not None and self.usual.slow(self.gone)

    @property
    def passed(self) -> int:
        """How many past runs were shorter than the time that the current one has already taken."""
        return sum(each < (self.gone or 0.0) for each in self.seconds)
