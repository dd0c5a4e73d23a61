"""What happened on several machines, as the programs of the runs wrote it down, and what is wrong with it."""

import math
import os
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

WRONGS = ("twice", "overlaps", "older", "lost", "unfounded", "late", "doubled", "undone", "frozen", "paused")
SOON = 1.0  # seconds after which a freeze, or a pause, holds
SEEN_OTHERWISE = ("stop", "reset")  # of which an acknowledgement is no row
BEAT, WORK = 0.1, 0.003  # seconds: each so often, a thread wants so much of a processor
SYNC = 10  # beats between two writes to the disk


def now() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)


class Heartbeat:
    """Measures how long this process waits for a processor and a disk, as all others do at the same time."""

    def __init__(self) -> None:
        self._waited: list[tuple[float, float]] = []  # when, and seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def waited(self, since: float, until: float) -> float:
        """The seconds that it waited in this time, all together."""
        return sum(seconds for when, seconds in self._waited if since <= when <= until + BEAT)

    def _beat(self) -> None:
        wanted = now() + BEAT
        with tempfile.TemporaryFile(buffering=0) as file:
            while not self._over.wait(max(0.0, wanted - now())):
                worked = time.thread_time()
                while time.thread_time() < worked + WORK:
                    pass
                if len(self._waited) % SYNC == 0:
                    file.write(b"x")
                    os.fsync(file)
                self._waited.append((now(), max(0.0, now() - wanted - WORK)))
                wanted = max(wanted, now() - WORK) + BEAT


Waited = Callable[[float, float], float]  # the seconds that everything waited from one time to another


def no_time(since: float, until: float) -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """What one program saw; `ended` is no number if it was killed before it could write."""

    slot: str
    epoch: int
    machine: str
    began: float
    ended: float
    version: int = 0  # of the settings

    @property
    def citizen(self) -> str:
        return self.slot.partition("/")[0]

    @property
    def task(self) -> str:
        return self.slot.split("/")[1]

    @property
    def where(self) -> str:
        return f"{self.slot} of epoch {self.epoch} began on {self.machine}"


@dataclass(frozen=True, slots=True)
class Row:
    """A run as it is on record."""

    citizen: str
    task: str
    slot: str
    epoch: int
    outcome: str | None = None

    @property
    def name(self) -> str:
        return f"{self.citizen}/{self.task}/{self.slot}"


@dataclass(frozen=True, slots=True)
class Verb:
    """What somebody asked for, from when to when, and the exit code; none if there was no answer."""

    name: str
    sent: float
    answered: float
    code: int | None
    left: tuple[str, ...] = ()  # what it should have ended, and did not


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
    doubled: list[str] = field(default_factory=list)  # verbs that acted more often than they were asked for
    undone: list[str] = field(default_factory=list)  # verbs that were acknowledged, and did not act
    frozen: list[str] = field(default_factory=list)  # runs that began after a freeze had been acknowledged
    paused: list[str] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)  # verbs, by name
    acknowledged: Counter[str] = field(default_factory=Counter)
    latest: float = 0.0  # seconds from the acknowledgement of a freeze to the last start
    waited: float = 0.0  # seconds for a processor or the disk, all in all
    said: list[str] = field(default_factory=list)  # the logs of the machines, if something is wrong

    @property
    def guilty(self) -> list[str]:
        return [line for name in WRONGS for line in getattr(self, name)]

    def counts(self) -> str:
        """In words: what was found, and how many faults of each kind there were."""
        wrong = ", ".join(f"{len(getattr(self, name))} {name}" for name in WRONGS)
        kinds = Counter(each.partition(" ")[0] for each in self.faults)
        faults = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        verbs = ", ".join(
            f"{self.acknowledged[name]}/{number} {name}" for name, number in sorted(self.asked.items())
        )
        happened = f"{self.runs} runs, {self.takeovers} take-overs, {len(self.faults)} faults ({faults})"
        happened += f", {self.acknowledged.total()}/{self.asked.total()} verbs acknowledged ({verbs})"
        times = f"longest gap {self.longest:.1f}s, in a freeze {self.latest:.1f}s, waited {self.waited:.0f}s"
        return f"{happened}: {wrong}; {times}"


def read(log: Path) -> list[Run]:
    """The runs that programs wrote down, by when they began."""
    begun: dict[tuple[str, str, str], tuple[str, int, str, float]] = {}
    versions: dict[tuple[str, str, str], int] = {}
    ended: dict[tuple[str, str, str], float] = {}
    for line in log.read_text().splitlines():
        what, slot, epoch, machine, pid, when, version = line.split()
        key = (slot, pid, machine)
        versions[key] = int(version)
        if what == "begin":
            begun[key] = (slot, int(epoch), machine, float(when))
        else:
            ended[key] = float(when)
    runs = [Run(*known, ended.get(key, float("nan")), versions[key]) for key, known in begun.items()]
    return sorted(runs, key=lambda run: run.began)


def judge(runs: Iterable[Run], rows: Sequence[Row]) -> Verdict:
    """What the runs and the rows say together, each task for itself."""
    verdict = Verdict()
    recorded = {(row.name, row.epoch) for row in rows}
    of_task: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        verdict.runs += 1
        of_task[run.citizen, run.task].append(run)
        if (run.slot, run.epoch) not in recorded:
            verdict.lost.append(f"{run.slot} of epoch {run.epoch} ran on {run.machine} and is in no row")
    for found in of_task.values():
        _judge_task(found, verdict)
    everything = [run for found in of_task.values() for run in found]
    ended = {(run.slot, run.epoch) for run in everything if not math.isnan(run.ended)}
    succeeded = [row for row in rows if row.outcome == "ok"]
    times = Counter(row.name for row in succeeded)
    verdict.unfounded += [f"{slot} is ok {number} times" for slot, number in times.items() if number > 1]
    verdict.unfounded += [
        f"{row.name} of epoch {row.epoch} is ok, and no program said so"
        for row in succeeded
        if (row.name, row.epoch) not in ended
    ]
    return verdict


def _judge_task(runs: Iterable[Run], verdict: Verdict) -> None:
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


def judge_verbs(
    verdict: Verdict,
    verbs: Sequence[Verb],
    runs: Sequence[Run],
    effects: Mapping[str, int],
    waited: Waited = no_time,
) -> None:
    """What verbs about one citizen led to, which did each of them `effects` times; others are not counted.

    Without an answer, or with a refusal, a verb may have acted once or not at all. A program may begin later
    by what the machine let everything wait, `waited` from one time to another.
    """
    verdict.asked = Counter(verb.name for verb in verbs)
    verdict.acknowledged = Counter(verb.name for verb in verbs if verb.code == 0)
    for name, times in effects.items():
        if times > verdict.asked[name]:
            verdict.doubled.append(
                f"{name} was asked for {verdict.asked[name]} times, and acted {times} times"
            )
        if times < verdict.acknowledged[name] and name not in SEEN_OTHERWISE:
            verdict.undone.append(
                f"{name} was acknowledged {verdict.acknowledged[name]} times, acted {times}"
            )
    verdict.undone += [f"{slot} ran on after it was stopped" for verb in verbs for slot in verb.left]
    verdict.undone += [f"{what} was of no effect" for what in without_effect(verbs, runs)]
    for begin, end in _holds(verbs, "freeze", "thaw"):
        inside = [run for run in runs if begin < run.began < end]
        verdict.latest = max([verdict.latest, *(run.began - begin for run in inside)])
        verdict.frozen += [
            f"{run.where} at {run.began}, {run.began - begin:.1f}s after a freeze"
            for run in inside
            if run.began > begin + SOON + waited(begin, run.began)
        ]
    for begin, end in _holds(verbs, "pause", "resume"):
        verdict.paused += [
            f"{run.where} at {run.began}, {run.began - begin:.1f}s after its pause"
            for run in runs
            if run.task == "tick" and begin + SOON + waited(begin, run.began) < run.began < end
        ]


def _holds(verbs: Sequence[Verb], begins: str, ends: str) -> Iterator[tuple[float, float]]:
    """From when what was acknowledged has to hold, until somebody asks for its end."""
    for number, verb in enumerate(verbs):
        if verb.name == begins and verb.code == 0:
            rest = verbs[number + 1 :]
            yield verb.answered, next((each.sent for each in rest if each.name == ends), math.inf)


def without_effect(verbs: Sequence[Verb], runs: Sequence[Run]) -> Iterator[str]:
    """The last ones of which an acknowledgement promises a run."""
    for name, task in (("thaw", "tick"), ("resume", "tick"), ("reset", "forgot")):
        last = max((verb.sent for verb in verbs if verb.name == name and verb.code == 0), default=None)
        if last is not None and not any(run.task == task and run.began > last for run in runs):
            yield f"the last {name}"
    edits = sum(verb.name == "edit" for verb in verbs)
    if edits and not any(run.version == edits for run in runs):
        yield "the last edit"


def judge_gaps(
    runs: Iterable[Run],
    citizens: Iterable[str],
    whole: Mapping[str, Sequence[Span]],
    most: float,
    end: float,
    waited: Waited = no_time,
) -> tuple[float, list[str]]:
    """The longest time in which a citizen did not run and one machine was whole, and those above `most`.

    What the machine let everything wait in that time is allowed, too.
    """
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
                if gap > most + waited(before, after):
                    late.append(
                        f"{citizen} did not run for {gap:.1f}s before {after:.1f} while {machine} was whole"
                    )
        if not begins[citizen]:
            late.append(f"{citizen} never ran")
    return longest, late
