"""Make a failing history short: leave out whatever it fails without."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.history import History, Plan

Fails = Callable[[History], bool]
PLAIN = Plan("plain")
MOST_TRIES = 150


def shrunk(history: History, fails: Fails) -> History:
    """The shortest history found that still fails in the same way."""
    left = MOST_TRIES
    while left > 0:
        for shorter in _shorter(history):
            left -= 1
            if fails(shorter):
                history = shorter
                break
            if left <= 0:
                break
        else:
            break
    return history


def _shorter(history: History) -> Iterator[History]:
    """Bold cuts first."""
    yield from _fewer_steps(history)
    if history.wake:
        yield replace(history, wake=None)
    for task in history.tasks if len(history.tasks) > 1 else ():
        yield replace(history, tasks=tuple(each for each in history.tasks if each is not task),
                      steps=tuple(step for step in history.steps if step.task != task.name))  # fmt: skip
    yield from _plainer_tasks(history)


def _fewer_steps(history: History) -> Iterator[History]:
    steps = history.steps
    size = len(steps)
    while size:
        for start in range(len(steps) - size, -1, -size):
            yield replace(history, steps=steps[:start] + steps[start + size :])
        size //= 2


def _plainer_tasks(history: History) -> Iterator[History]:
    for index, task in enumerate(history.tasks):
        for name in (
            "slow",
            "fails",
            "urgent",
            "timeout",
            "retries",
            "jitter",
            "catch_up",
            "deaf",
            "takes",
            "zone",
        ):
            if getattr(task, name) != getattr(PLAIN, name):
                plainer = replace(task, **{name: getattr(PLAIN, name)})
                yield replace(history, tasks=(*history.tasks[:index], plainer, *history.tasks[index + 1 :]))
