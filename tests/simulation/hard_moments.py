"""Hard moments in histories: verbs beside a wake's slot, a long run over a kill, a machine that travels.

They are strewn into a history by dice of their own: the same seed without them stays the same history.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.history import HOUR, ZONES, History, Step, an_edit

SHARE = 0.3  # of histories that have any
POWER = 0.3  # of histories in which the power goes
WRITTEN = 0.3  # of histories in which settings are written in steps, at their end
ANSWERED = 0.3  # of histories in which the power goes just after an answer, at their end
GIVEN = 0.3  # of histories in which an owner is killed just after an agent was given results, at their end
STALLED = 0.3  # of histories in which the process stands still at a start, at their end
BESIDE = (-3.0, -1.0, -0.3, -0.05, -0.001, 0.0, 0.001, 0.05, 0.3, 1.0, 20.0)  # seconds from a slot

Moment = Callable[[random.Random, History], Iterator[Step]]


def with_hard_moments(history: History) -> History:
    """The same history, in some of which one or two of these happen."""
    moments = _strewn(history, random.Random(f"hard moments of {history.seed}"), SHARE, MOMENTS)
    moments = _strewn(moments, random.Random(f"power of {history.seed}"), POWER, (_the_power_goes,))
    for words, share, moment in AT_THE_END:
        dice = random.Random(f"{words} of {history.seed}")
        last = moment(dice, moments) if dice.random() < share else ()
        moments = replace(moments, steps=(*moments.steps, *last))
    return moments


def _strewn(history: History, dice: random.Random, share: float, moments: tuple[Moment, ...]) -> History:
    if dice.random() >= share:
        return history
    steps = list(history.steps)
    for _ in range(dice.choice((1, 2))):
        at = dice.randrange(len(steps) + 1)
        steps[at:at] = dice.choice(moments)(dice, history)
    return replace(history, steps=tuple(steps))


def _verbs_beside_the_wake(dice: random.Random, history: History) -> Iterator[Step]:
    """Whatever asks for a wake when its own slot comes: one begins, and nothing is lost."""
    name = "wake" if history.wake else history.tasks[0].name
    yield Step("near", dice.choice(BESIDE), name)
    for _ in range(dice.choice((1, 2, 3))):
        kind = dice.choice(("wake", "wake", "force", "force again", "reset", "pause", "resume"))
        yield Step(kind, task=dice.choice(history.tasks).name)
        yield Step("pass", dice.choice((0.0, 0.001, 0.02, 0.5)))
    for task in history.tasks:
        yield Step("resume", task=task.name)


def _a_run_outlives_its_owner(dice: random.Random, history: History) -> Iterator[Step]:
    """It is forced in the next life while it still runs; after another kill, too."""
    task = dice.choice(history.tasks).name
    yield Step("edit", task=task, more={"takes": 400.0, "timeout": 4000.0})
    yield Step("force", task=task)
    yield Step("pass", dice.choice((0.05, 1.0, 30.0)))
    for _ in range(dice.choice((1, 1, 2))):
        yield Step("kill at turn", dice.choice((0.0, 0.5, 5.0)), more=dice.choice((0, 3)))
        yield Step("pass", 6.0)
        yield Step(dice.choice(("force", "force again", "wake")), task=task)
        yield Step("pass", dice.choice((0.0, 1.0, 60.0)))
    yield Step("edit", task=task, more={"takes": 1.0})


def _the_machine_travels(dice: random.Random, history: History) -> Iterator[Step]:
    """Its zone is another one, for every task at once, mostly when one of them is about to run."""
    zone, tasks = dice.choice(ZONES), [task for task in history.tasks if task.cron]
    if tasks:
        yield Step("near", dice.choice(BESIDE), dice.choice(tasks).name)
    yield from (Step("edit", task=task.name, more={"zone": zone}) for task in tasks)


def _the_power_goes(dice: random.Random, history: History) -> Iterator[Step]:
    """Just after something was asked for, or came."""
    task = dice.choice(history.tasks).name
    yield Step("near", dice.choice(BESIDE), task)
    yield Step(dice.choice(("force", "reset", "pause", "resume", "wake", "pass")), task=task)
    yield Step("pass", dice.choice((0.0, 0.001, 0.004, 0.02, 1.0)))
    yield Step("reboot", dice.choice((1.0, 40.0, 600.0)))
    yield Step("resume", task=task)


def _settings_are_written_in_steps(dice: random.Random, history: History) -> Iterator[Step]:
    """And perhaps its owner ends meanwhile."""
    for _ in range(dice.choice((1, 2))):
        task = dice.choice(history.tasks)
        yield Step("pass", dice.choice((0.0, 3.0, 40.0, 600.0)))
        if dice.random() < 0.2:
            yield Step("kill at turn", dice.choice((0.0, 0.5, 5.0)), more=dice.choice((0, 3, 30)))
        more = an_edit(dice, task), dice.random()
        yield Step("write", dice.choice((0.05, 0.5, 0.95, 2.0, 5.0)), task.name, more)
        yield Step("look")


def _the_power_goes_after_an_answer(dice: random.Random, history: History) -> Iterator[Step]:
    """Perhaps before a slow disk has synced what was answered."""
    yield Step("slow disk")
    for _ in range(3):
        task = dice.choice(history.tasks).name
        yield Step(dice.choice(("pause", "pause", "reset")), task=task)
        yield Step("pass", dice.uniform(0.5, 3.0))
        yield Step("reboot")
        yield Step("pass", 10.0)
        yield Step("resume", task=task)
        yield Step("pass", 10.0)
    yield Step("slow disk")


def _a_result_is_killed_with_its_wake(dice: random.Random, history: History) -> Iterator[Step]:
    """What an agent was given is known by the history, also where the clock was set back before."""
    task = dice.choice(history.tasks).name
    yield Step("edit", task=task, more={"takes": 0.2})
    for step_back in (5.0, 90.0, 600.0):
        yield Step("pass", 400.0)  # until the agent that is awake has ended
        yield Step("force", task=task)
        yield Step("pass", 2.0)
        yield Step("clock", -step_back)
        yield Step("force", task=task)
        yield Step("wake")
        yield Step("pass", dice.uniform(0.25, 0.6))
        yield Step("kill at turn", 0.5, more=0)
        yield Step("pass", 6.0)
        yield Step("wake")


def _it_stands_still_at_a_start(dice: random.Random, history: History) -> Iterator[Step]:
    """Between the decision and the program, which a slow disk keeps apart; meanwhile others may freeze it."""
    slow = dice.random() < 0.5
    if slow:
        yield Step("slow disk")
    for _ in range(3):
        task, wait = (
            dice.choice(history.tasks).name,
            dice.choice((3.0, 50.0, 90.0, 400.0, 2 * HOUR, 9 * HOUR)),
        )
        yield Step("near", dice.choice((0.0, 0.001, 0.003, 0.6 if slow else 0.006)), task)
        if dice.random() < 0.3:
            yield Step(dice.choice(("pause", "reset", "force", "wake")), task=task)
        if dice.random() < 0.5:
            yield Step("freeze soon", dice.uniform(0.0, wait))
        yield Step("stall", wait)
        yield Step("pass", dice.choice((0.0, 3.0, 90.0)))
        yield Step("thaw")
        yield Step("resume", task=task)
        yield Step("pass", dice.choice((4.0, 400.0)))
    if slow:
        yield Step("slow disk")


AT_THE_END: tuple[tuple[str, float, Moment], ...] = (
    ("settings", WRITTEN, _settings_are_written_in_steps),
    ("answers", ANSWERED, _the_power_goes_after_an_answer),
    ("results", GIVEN, _a_result_is_killed_with_its_wake),
    ("stalls", STALLED, _it_stands_still_at_a_start),
)
MOMENTS: tuple[Moment, ...] = (_verbs_beside_the_wake, _a_run_outlives_its_owner, _the_machine_travels)
