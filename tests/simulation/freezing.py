"""Freezes and timed pauses in random histories: nothing starts for a while, and then all goes on by itself.

They are strewn into a history by dice of their own: the same seed without them stays the same history.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

from tests.simulation.history import DAY, HOUR, History, Step
from tests.simulation.owed import Broken
from tests.simulation.trace import Fact

SHARE = 0.25  # of histories that have any
SEEN = 5.0  # seconds until an end that has passed was noticed, beside the looks at the clock
GRACE = 1.0  # seconds after a freeze in which a start is all right
SPANS = (0.5, 3.0, 50.0, 400.0, HOUR, 7 * HOUR, DAY)


def with_freezes(history: History) -> History:
    """The same history, in some of which nothing may start for a while, once or twice."""
    return _with_pauses(_with_freezes(history))


def _with_pauses(history: History) -> History:
    dice = random.Random(f"pauses of {history.seed}")
    if dice.random() >= SHARE:
        return history
    steps = list(history.steps)
    for _ in range(dice.choice((1, 2))):
        task = dice.choice(history.tasks).name
        steps.insert(dice.randrange(len(steps) + 1), Step("pause for", dice.choice(SPANS), task))
    return replace(history, steps=tuple(steps))


def _with_freezes(history: History) -> History:
    dice = random.Random(f"freezes of {history.seed}")
    if dice.random() >= SHARE:
        return history
    steps = list(history.steps)
    for _ in range(dice.choice((1, 1, 2))):
        first = dice.randrange(len(steps) + 1)
        last = min(len(steps), first + dice.choice((0, 0, 1, 3)))
        rest = [Step("pass", dice.choice(SPANS))] if dice.random() < 0.7 else []
        steps[first:last] = [Step("freeze"), *steps[first:last], *rest, Step("thaw")]
    return replace(history, steps=tuple(steps))


def a_timed_pause_ends_by_itself(history: History, trace: list[Fact]) -> Iterator[Broken]:
    """By the clock, over restarts, too; whoever sets the clock moves its end."""
    until: dict[str, float] = {}
    settled = 0.0
    for fact in trace:
        if fact.kind in ("clock set", "awake", "goes on", "up"):
            settled = fact.at + history.look + SEEN
        elif fact.kind == "paused until":
            until[fact.task] = fact.more
        elif fact.kind in ("pause", "edited"):  # another pause, or one that is not told from it
            until.pop(fact.task, None)
        elif fact.kind == "looked" and fact.at > settled:
            for view in fact.more.tasks:
                late = fact.wall - until.get(view.name, fact.wall)
                if late > history.look + SEEN and view.paused:
                    yield Broken("pause", fact.at, view.name, f"it is paused {late:.0f} s after its end")


def nothing_starts_in_a_freeze(history: History, trace: list[Fact]) -> Iterator[Broken]:
    """Whatever asks for it, in whichever life of the owner."""
    since = None
    for fact in trace:
        if fact.kind == "frozen":
            since = fact.at if since is None else since
        elif fact.kind == "thawed":
            since = None
        elif fact.kind == "starting" and since is not None and fact.at > since + GRACE:
            yield Broken("frozen", fact.at, fact.task, f"it starts {fact.at - since:.1f} s after a freeze")
