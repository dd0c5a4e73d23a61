"""Plays seeds, in several processes: what each broke, and how long they lived."""

import logging
import sys
import time
import warnings
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context

from tests.simulation.hard_moments import with_hard_moments
from tests.simulation.history import HOUR, History, history
from tests.simulation.rules.freezing import with_freezes
from tests.simulation.rules.invariants import broken_rules
from tests.simulation.rules.owed import Broken
from tests.simulation.shrink import shrunk
from tests.simulation.story import tell
from tests.simulation.trace import Fact
from tests.simulation.world import World

AHEAD = 50  # seeds that are played, or have been, while the slowest before them is


@dataclass(frozen=True, slots=True)
class Played:
    seed: int
    hours: float
    broken: tuple[Broken, ...]
    cpu: float  # seconds that it took
    judged: Counter[bool] = field(default_factory=Counter)  # its slots and starts: decided, or left open


def history_of(seed: int) -> History:
    """Everything that happens in the history of this seed."""
    return with_freezes(with_hard_moments(history(seed)))


def play(one: History, judged: Counter[bool] | None = None) -> tuple[list[Fact], list[Broken]]:
    """What happened in this history, and what broke; `judged` counts what was decided and what left open."""
    _quiet()
    trace = World(one).play()
    return trace, broken_rules(one, trace, Counter() if judged is None else judged)


def play_seed(seed: int) -> Played:
    began, judged = time.process_time(), Counter[bool]()
    trace, broken = play(history_of(seed), judged)
    hours = (trace[-1].at - trace[0].at) / HOUR
    return Played(seed, hours, tuple(broken), time.process_time() - began, judged)


def play_hours(hours: float, first: int = 0, workers: int = 2) -> Iterator[Played]:
    """Seed after seed in their order, until they have lived for so many hours."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        seeds, waiting = count(first), deque[Future[Played]]()
        try:
            while hours > 0:
                while len(waiting) < workers + AHEAD:
                    waiting.append(pool.submit(play_seed, next(seeds)))
                played = waiting.popleft().result()
                hours -= played.hours
                yield played
        finally:  # also for who has seen enough
            pool.shutdown(cancel_futures=True)


def story_of(seed: int, broken: Broken) -> str:
    """The shortest story in which the same rule breaks for the same task."""

    def again(one: History) -> Iterator[tuple[list[Fact], Broken]]:
        trace, found = play(one)
        yield from ((trace, each) for each in found if (each.rule, each.task) == (broken.rule, broken.task))

    short = shrunk(history_of(seed), lambda one: next(again(one), None) is not None)
    return tell(short, *next(again(short)))


def _quiet() -> None:
    """What a killed process leaves behind (unawaited coroutines, log lines) is no news here."""
    logging.lastResort = None
    log = logging.getLogger("experience")
    log.setLevel(logging.INFO)
    log.propagate = False
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda error: None
