"""Freezes, timed pauses and active hours in random histories: nothing starts for a while, then all goes on.

They are strewn into a history by dice of their own: the same seed without them stays the same history.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from tests.simulation.history import DAY, HOUR, History, Plan, Step
from tests.simulation.rules.oracle import NEVER
from tests.simulation.rules.owed import LITTLE, MINUTE, SCHEDULED, Broken
from tests.simulation.trace import Fact

SHARE = 0.25  # of histories that have any
SEEN = 5.0  # seconds until an end that has passed was noticed, beside the looks at the clock
GRACE = 1.0  # seconds after a freeze in which a start is all right
HOURS = ("08:00-22:00", "22:00-06:00", "01:00-04:00", "mon-fri 09:00-17:00")
SPANS = (0.5, 3.0, 50.0, 400.0, HOUR, 7 * HOUR, DAY)


def with_freezes(history: History) -> History:
    """The same history, in some of which nothing may start for a while, once or twice."""
    return _with_hours(_with_pauses(_with_freezes(history)))


def _with_hours(history: History) -> History:
    dice = random.Random(f"hours of {history.seed}")
    if dice.random() >= SHARE:
        return history
    chosen = dice.randrange(len(history.tasks))
    tasks = list(history.tasks)
    tasks[chosen] = replace(tasks[chosen], active=dice.choice(HOURS))
    return replace(history, tasks=tuple(tasks))


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
    """By the clock, over restarts, too; whoever sets the clock moves its end, and a freeze ends first."""
    asked: dict[str, float] = {}  # of the pause that is about to begin
    until: dict[str, float] = {}
    settled, frozen = 0.0, False
    for fact in trace:
        if fact.kind in ("frozen", "thawed"):
            frozen = fact.kind == "frozen"
        if fact.kind in ("clock set", "awake", "goes on", "up", "thawed"):
            settled = fact.at + history.look + SEEN
        elif fact.kind == "killed":  # what was not answered may not be saved
            asked, until = {}, {name: state.paused_until or NEVER for name, state in fact.more.items()}
        elif fact.kind == "pause until":
            asked[fact.task] = fact.more
        elif fact.kind == "refused":
            asked.pop(fact.task, None)
        elif fact.kind == "pause":
            until[fact.task] = asked.pop(fact.task, NEVER)
        elif fact.kind == "edited":  # the end of a pause looks the same
            until.pop(fact.task, None)
        elif fact.kind == "looked" and fact.at > settled and not frozen:
            for view in fact.more.tasks:
                late = fact.wall - until.get(view.name, fact.wall)
                if late > history.look + SEEN and view.paused:
                    yield Broken("pause", fact.at, view.name, f"it is paused {late:.0f} s after its end")


def no_schedule_starts_outside_its_hours(history: History, trace: list[Fact]) -> Iterator[Broken]:
    """By the clock of its zone, over midnight and in nights in which clocks change; a minute is late."""
    plans: dict[str, Plan] = {}
    for fact in trace:
        if fact.kind in ("planned", "edited"):
            plans[fact.task] = fact.more
        elif fact.kind in ("starting", "began") and _trigger(fact) in SCHEDULED:
            plan = plans[fact.task]
            late = fact.wall - MINUTE - LITTLE
            if plan.active and not (_inside(plan, fact.wall) or _inside(plan, late)):
                shown = datetime.fromtimestamp(fact.wall, ZoneInfo(plan.zone))
                how = "starts" if fact.kind == "starting" else "begins"
                text = f"it {how} at {shown:%a %H:%M:%S}, outside {plan.active} ({plan.zone})"
                yield Broken("hours", fact.at, fact.task, text)


def _trigger(fact: Fact) -> str:
    return str(fact.more if fact.kind == "starting" else fact.more[1])


def _inside(plan: Plan, wall: float) -> bool:
    here = datetime.fromtimestamp(wall, ZoneInfo(plan.zone))
    first, last = (int(clock[:2]) for clock in plan.active.split()[-1].split("-"))
    if plan.active.startswith("mon-fri") and here.weekday() > 4:
        return False
    return first <= here.hour < last if first < last else here.hour >= first or here.hour < last


def nothing_starts_in_a_freeze(history: History, trace: list[Fact]) -> Iterator[Broken]:
    """Whatever asks for it, in whichever life of the owner."""
    since = None
    for fact in trace:
        if fact.kind == "frozen":
            since = fact.at if since is None else since
        elif fact.kind == "thawed":
            since = None
        elif fact.kind in ("starting", "began") and since is not None and fact.at > since + GRACE:
            how = "starts" if fact.kind == "starting" else "begins"
            yield Broken("frozen", fact.at, fact.task, f"it {how} {fact.at - since:.1f} s after a freeze")
