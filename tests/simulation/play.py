"""Plays seeds, in several processes: what each broke, and how long they lived."""

import logging
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context

from tests.simulation.freezing import with_freezes
from tests.simulation.history import HOUR, History, history
from tests.simulation.invariants import broken_rules
from tests.simulation.owed import Broken
from tests.simulation.shrink import shrunk
from tests.simulation.story import tell
from tests.simulation.trace import Fact
from tests.simulation.world import World

AHEAD = 4  # seeds that wait for a free process


@dataclass(frozen=True, slots=True)
class Played:
    seed: int
    hours: float
    broken: tuple[Broken, ...]


def play(one: History) -> tuple[list[Fact], list[Broken]]:
    """What happened in this history, and what broke."""
    _quiet()
    trace = World(one).play()
    return trace, broken_rules(one, trace)


def play_seed(seed: int) -> Played:
    trace, broken = play(with_freezes(history(seed)))
    return Played(seed, (trace[-1].at - trace[0].at) / HOUR, tuple(broken))


def play_hours(hours: float, first: int = 0, processes: int = 2) -> Iterator[Played]:
    """Seed after seed, until they have lived for so many hours."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        seeds, waiting = count(first), set[Future[Played]]()
        while hours > 0:
            while len(waiting) < processes + AHEAD:
                waiting.add(pool.submit(play_seed, next(seeds)))
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for each in done:
                hours -= each.result().hours
                yield each.result()
        pool.shutdown(cancel_futures=True)


def story_of(seed: int, broken: Broken) -> str:
    """The shortest story in which the same rule breaks for the same task."""

    def again(one: History) -> Iterator[tuple[list[Fact], Broken]]:
        trace, found = play(one)
        yield from ((trace, each) for each in found if (each.rule, each.task) == (broken.rule, broken.task))

    short = shrunk(with_freezes(history(seed)), lambda one: next(again(one), None) is not None)
    return tell(short, *next(again(short)))


def _quiet() -> None:
    """What a killed process leaves behind (unawaited coroutines, log lines) is no news here."""
    logging.lastResort = None
    log = logging.getLogger("experience")
    log.setLevel(logging.INFO)
    log.propagate = False
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda error: None
