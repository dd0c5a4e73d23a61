"""Random histories: which tasks there are, and what happens to the process that runs them, from one seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

HOUR, DAY = 3600.0, 86400.0

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago",
         "Asia/Kathmandu", "Africa/Casablanca", "Pacific/Chatham")  # fmt: skip
NIGHTS = ("2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2026-10-04",
          "2026-09-06", "2026-02-15", "2026-03-22", "2026-09-27")  # fmt: skip
CRONS = ("*/5 * * * *", "*/15 * * * *", "*/20 9-17 * * *", "7 * * * *", "0,30 * * * *", "0 */2 * * *",
         "30 */3 * * *", "0 2 * * *", "30 2 * * *", "30 1 * * *", "15 0,12 * * *", "0 3 * * 0",
         "0 9 * * 1-5", "59 23 * * *", "0 0 * * *", "0 */6 * * *", "45 5 * * *")  # fmt: skip
SPANS = (300.0, 433.0, 900.0, 1800.0, HOUR, HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR, DAY)


@dataclass(frozen=True)
class Plan:
    """A task, or the wake, and how its runs go."""

    name: str
    every: float = 0.0
    cron: str = ""
    zone: str = "UTC"
    command: bool = True  # a process of its own, which outlives its scheduler
    takes: float = 1.0
    slow: float = 0.0  # the share of runs that take twenty times as long
    fails: float = 0.0
    urgent: float = 0.0
    timeout: float = 300.0
    retries: int = 0
    retry_delay: float = 30.0
    jitter: float = 0.0
    catch_up: bool = True
    enabled: bool = True
    removed: bool = False
    deaf: bool = False  # does not end when it is asked to
    priority: int = 50
    active: str = ""  # hours in which its schedule may start it


@dataclass(frozen=True)
class Step:
    """One thing that happens; `task` is a name, `by` a number of seconds."""

    kind: str
    by: float = 0.0
    task: str = ""
    more: Any = None


@dataclass(frozen=True)
class History:
    seed: int
    start: float
    tasks: tuple[Plan, ...]
    wake: Plan | None
    steps: tuple[Step, ...] = field(repr=False)
    workers: int = 4
    look: float = 30.0  # seconds after which the clock is looked at, whatever happens
    realtime: bool = True  # the timer hears of a clock that is set


def history(seed: int) -> History:
    """The history of this seed."""
    dice = random.Random(seed)
    busy = dice.random() < 0.15
    tasks = tuple(_task(dice, f"{'abcd'[n]}", busy) for n in range(dice.choice((1, 1, 2, 3))))
    wake = _wake(dice, busy) if dice.random() < 0.6 else None
    return History(
        seed,
        _start(dice),
        tasks,
        wake,
        tuple(_steps(dice, tasks, wake, busy)),
        workers=dice.choice((1, 4, 4)),
        look=30.0 if busy else dice.choice((30.0, 300.0, 300.0)),
        realtime=dice.random() < 0.7,
    )


def _start(dice: random.Random) -> float:
    """Any day, or the evening before a night in which some zone sets its clocks."""
    if dice.random() < 0.5:
        night = datetime.fromisoformat(dice.choice(NIGHTS)).replace(tzinfo=ZoneInfo("UTC"))
        return night.timestamp() - dice.uniform(-2, 20) * HOUR
    return datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")).timestamp() + dice.uniform(0, 365 * DAY)


def _schedule(dice: random.Random, busy: bool) -> dict[str, Any]:
    if dice.random() < 0.55:
        return {"cron": dice.choice(CRONS if busy else CRONS[2:]), "zone": dice.choice(ZONES), "every": 0.0}
    return {"every": dice.choice(SPANS if busy else SPANS[2:]), "cron": ""}


def _task(dice: random.Random, name: str, busy: bool) -> Plan:
    plan = Plan(
        name,
        **_schedule(dice, busy),
        command=dice.random() < 0.7,
        takes=dice.choice((0.2, 1.0, 5.0, 40.0)),
        slow=dice.choice((0.0, 0.0, 0.1, 1.0)),
        fails=dice.choice((0.0, 0.0, 0.2, 0.9)),
        urgent=dice.choice((0.0, 0.0, 0.2)),
        timeout=dice.choice((60.0, 300.0, 300.0, 4000.0)),
        retries=dice.choice((0, 0, 2, 5)),
        retry_delay=dice.choice((30.0, 60.0, 240.0)),
        catch_up=dice.random() < 0.6,
        enabled=dice.random() < 0.95,
        deaf=dice.random() < 0.1,
        priority=dice.choice((1, 50, 50)),
    )
    return replace(plan, jitter=_jitter(dice, plan))


def _jitter(dice: random.Random, plan: Plan) -> float:
    """Mostly none; at most half of the shortest distance of two slots."""
    span = plan.every or (300.0 if plan.cron.startswith(("*/", "0,")) else HOUR)
    return dice.choice((0.0, 0.0, 0.0, 0.1, 0.5)) * span


def _wake(dice: random.Random, busy: bool) -> Plan:
    return replace(
        Plan("wake", **_schedule(dice, busy)),
        takes=dice.choice((1.0, 20.0, 120.0)),
        slow=dice.choice((0.0, 0.1)),
        fails=dice.choice((0.0, 0.3)),
        timeout=3600.0,
    )


# ------------------------------------------------------------------ what happens

CLOCK = (0.3, 0.7, 0.9, 1.2, 1.5, 2.0, 3.0, 30.0, 55.0, 90.0, 600.0, 1800.0, HOUR, 2 * HOUR,
         4 * HOUR, DAY, 30 * DAY)  # fmt: skip
EDGES = (-2.0, -0.6, -0.3, 0.05, 0.2, 0.5, 2.0, 10.0, 45.0, 70.0, 600.0)
DOWN = (0.0, 0.5, 5.0, 40.0, 50.0, 90.0, 600.0, HOUR, 5 * HOUR, 30 * HOUR)


def _steps(dice: random.Random, tasks: tuple[Plan, ...], wake: Plan | None, busy: bool) -> Iterator[Step]:
    names = [plan.name for plan in tasks] + (["wake"] if wake else [])
    for _ in range(dice.randint(4, 14)):
        yield _time(dice, names, busy)
        yield from _event(dice, tasks, bool(wake))
        if dice.random() < 0.3:
            yield from _event(dice, tasks, bool(wake))
        if dice.random() < 0.5:
            yield Step("look")


def _time(dice: random.Random, names: list[str], busy: bool) -> Step:
    """Some time passes, often until just before or after something is due."""
    if dice.random() < 0.5:
        return Step("near", dice.choice(EDGES), dice.choice(names))
    longest = 5.0 if busy else 16.0
    return Step(
        "pass", dice.choice((dice.uniform(0, 60), dice.uniform(0, 2), dice.uniform(0, longest) * HOUR))
    )


def _event(dice: random.Random, tasks: tuple[Plan, ...], wake: bool) -> Iterator[Step]:
    task = dice.choice(tasks)
    kind = dice.choices(*zip(*_WEIGHTS.items(), strict=True))[0]
    if kind == "clock":
        yield Step("clock", dice.choice((1, -1)) * dice.choice(CLOCK))
    elif kind in ("sleep", "stall"):
        yield Step(kind, dice.choice((0.7, 2.0, 8.0, 40.0, 50.0, 90.0, 400.0, 2 * HOUR)))
    elif kind in ("stop", "reboot"):
        yield Step(kind, dice.choice(DOWN))
    elif kind in ("kill at turn", "kill at write"):
        yield Step(kind, dice.choice(DOWN), more=dice.randint(0, 30))
        yield dice.choice((Step("force", task=task.name), Step("near", 0.2, task.name), Step("wake")))
    elif kind == "edit":
        yield Step("edit", task=task.name, more=an_edit(dice, task))
    elif kind == "flicker":  # a settings file that is read while the task is missing from it
        yield Step("edit", task=task.name, more={"removed": True})
        yield Step("pass", dice.uniform(0, 5))
        yield Step("edit", task=task.name, more={"removed": False})
    elif kind == "disk":
        yield Step("disk full", dice.uniform(0, 200))
    elif kind != "wake" or wake:
        yield Step(kind, task=task.name)


_WEIGHTS = {"clock": 8, "sleep": 1, "stall": 2, "stop": 3, "reboot": 1, "kill at turn": 3, "kill at write": 2,
            "force": 3, "force again": 1, "reset": 1, "pause": 3, "resume": 4, "wake": 2, "edit": 3,
            "flicker": 1, "disk": 1, "slow disk": 1}  # fmt: skip


def an_edit(dice: random.Random, task: Plan) -> dict[str, Any]:
    """What changes of this task."""
    return dice.choice((
        _schedule(dice, busy=False) | {"jitter": 0.0},
        {"enabled": not task.enabled},
        {"enabled": True},
        {"catch_up": not task.catch_up},
        {"takes": dice.choice((0.2, 5.0))},
    ))  # fmt: skip
