"""What happened on several machines, as the programs of the runs wrote it down, and what is wrong with it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isnan
from pathlib import Path

WRONGS = ("twice", "overlaps", "older", "lost", "unfounded", "late", "doubled")


@dataclass(frozen=True, slots=True)
class Run:
    """What one program saw; `ended` is no number if it was killed before it could write."""

    slot: str
    epoch: int
    machine: str
    began: float
    ended: float

    @property
    def citizen(self) -> str:
        return self.slot.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Row:
    """A run as it is on record."""

    citizen: str
    slot: str
    epoch: int
    outcome: str | None = None

    @property
    def name(self) -> str:
        return f"{self.citizen}/tick/{self.slot}"


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a machine had no fault, nor had the database."""

    since: float
    until: float


@dataclass(slots=True)
class Verdict:
    runs: int = 0
    takeovers: int = 0
    longest: float = 0.0  # seconds without a run of a citizen while some machine could have run it
    faults: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)  # slots that began twice
    overlaps: list[str] = field(default_factory=list)
    older: list[str] = field(default_factory=list)  # runs under an epoch after a newer one had begun
    lost: list[str] = field(default_factory=list)  # runs that are in no row
    unfounded: list[str] = field(default_factory=list)  # rows that say ok, and no program ended so
    late: list[str] = field(default_factory=list)  # times without a run that are too long
    doubled: list[str] = field(default_factory=list)  # more runs than were asked for
    asked: int = 0  # verbs

    @property
    def guilty(self) -> list[str]:
        return [line for name in WRONGS for line in getattr(self, name)]

    def counts(self) -> str:
        """In words: what was found, and how many faults of each kind there were."""
        wrong = ", ".join(f"{len(getattr(self, name))} {name}" for name in WRONGS)
        kinds = Counter(each.partition(" ")[0] for each in self.faults)
        faults = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        happened = f"{self.runs} runs, {self.takeovers} take-overs, {self.asked} verbs"
        happened += f", {len(self.faults)} faults ({faults})"
        return f"{happened}: {wrong}; longest gap {self.longest:.1f}s"


def read(log: Path) -> list[Run]:
    """The runs that programs wrote down, by when they began."""
    begun: dict[tuple[str, str, str], tuple[str, int, str, float]] = {}
    ended: dict[tuple[str, str, str], float] = {}
    for line in log.read_text().splitlines():
        what, slot, epoch, machine, pid, when = line.split()
        key = (slot, pid, machine)
        if what == "begin":
            begun[key] = (slot, int(epoch), machine, float(when))
        else:
            ended[key] = float(when)
    runs = [Run(*known, ended.get(key, float("nan"))) for key, known in begun.items()]
    return sorted(runs, key=lambda run: run.began)


def judge(runs: Iterable[Run], rows: Sequence[Row]) -> Verdict:
    """What the runs and the rows say together, each citizen for itself."""
    verdict = Verdict()
    recorded = {(row.name, row.epoch) for row in rows}
    of_citizen: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        verdict.runs += 1
        of_citizen[run.citizen].append(run)
        if (run.slot, run.epoch) not in recorded:
            verdict.lost.append(f"{run.slot} of epoch {run.epoch} ran on {run.machine} and is in no row")
    for found in of_citizen.values():
        _judge_citizen(found, verdict)
    everything = [run for found in of_citizen.values() for run in found]
    ended = {(run.slot, run.epoch) for run in everything if not isnan(run.ended)}
    succeeded = [row for row in rows if row.outcome == "ok"]
    times = Counter(row.name for row in succeeded)
    verdict.unfounded += [f"{slot} is ok {number} times" for slot, number in times.items() if number > 1]
    verdict.unfounded += [
        f"{row.name} of epoch {row.epoch} is ok, and no program said so"
        for row in succeeded
        if (row.name, row.epoch) not in ended
    ]
    return verdict


def _judge_citizen(runs: Iterable[Run], verdict: Verdict) -> None:
    seen: dict[str, Run] = {}
    newest = before = None
    for run in runs:
        if run.slot in seen:
            verdict.twice.append(f"{run.slot} began on {seen[run.slot].machine} and on {run.machine}")
        seen[run.slot] = run
        if newest is not None and run.epoch < newest:
            verdict.older.append(f"{run.slot} began under epoch {run.epoch} after {newest}")
        if before and before.ended > run.began:
            verdict.overlaps.append(f"{run.slot} began while {before.slot} ran")
        verdict.takeovers += newest is not None and run.epoch > newest
        newest, before = max(newest or 0, run.epoch), run


def judge_verbs(asked: int, runs: int) -> list[str]:
    """What is wrong if so many forces, one after the other, led to so many runs; a fault may cost some."""
    return [f"{asked} forces led to {runs} runs"] if runs > asked else []


def judge_gaps(
    runs: Iterable[Run], citizens: Iterable[str], whole: Mapping[str, Sequence[Span]], most: float, end: float
) -> tuple[float, list[str]]:
    """The longest time in which a citizen did not run and one machine was whole, and those above `most`."""
    begins: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        begins[run.citizen].append(run.began)
    longest, late = 0.0, []
    for citizen in citizens:
        times = [*begins[citizen], end]
        for before, after in pairwise(times):
            for machine, spans in whole.items():
                gap = max((min(after, s.until) - max(before, s.since) for s in spans), default=0.0)
                longest = max(longest, gap)
                if gap > most:
                    late.append(f"{citizen} did not run for {gap:.1f}s while {machine} was whole")
        if not begins[citizen]:
            late.append(f"{citizen} never ran")
    return longest, late
