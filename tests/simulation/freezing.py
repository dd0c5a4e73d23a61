"""Freezes in random histories: another process freezes the citizen for a while, and thaws it again.

They are strewn into a history by dice of their own: the same seed without them stays the same history.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

from tests.simulation.history import DAY, HOUR, History, Step
from tests.simulation.owed import Broken
from tests.simulation.trace import Fact

SHARE = 0.25  # of histories that have any
GRACE = 1.0  # seconds after a freeze in which a start is all right
SPANS = (0.5, 3.0, 50.0, 400.0, HOUR, 7 * HOUR, DAY)


def with_freezes(history: History) -> History:
    """The same history, in some of which nothing may start for a while, once or twice."""
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
