"""The past of the make-believe fleet: what its runs came to and what they printed, the same at each look."""

import random
from collections.abc import Mapping
from dataclasses import replace

from scheduler.core.records import RunRecord
from scheduler.core.schedule import Every
from scheduler.core.state import TaskState
from scheduler.core.task import Outcome, Task, Trigger
from tui.demo.data import FAILURES
from tui.demo.prints import script, traceback

PAST = 60  # runs of each task that are made up
LATER = 1000  # the number of the first run that is not past
SELDOM = 0.02  # of older runs failed


def past(citizen: str, tasks: Mapping[str, Task], states: Mapping[str, TaskState]) -> list[RunRecord]:
    """The runs before now of one citizen, numbered in the order in which they ended."""
    runs = [run for name, task in tasks.items() for run in _runs(citizen, task, states[name])]
    runs.sort(key=lambda run: run.finished)
    return [replace(run, id=number) for number, run in enumerate(runs, 1)]


def output(run: RunRecord) -> str:
    """What the run claims to have printed; a failure ends with its traceback."""
    lines = [line.rstrip("\n") for line in script(run.task)]
    shown = lines[: max(2, len(lines) // 2)] if run.outcome.bad else lines
    end = traceback(run.task, run.text) if run.outcome.bad else [run.text]
    return "\n".join([*shown, *end, ""])


def _runs(citizen: str, task: Task, state: TaskState) -> list[RunRecord]:
    if state.last_run is None or not isinstance(task.schedule, Every):
        return []
    chance = random.Random(f"past of {citizen}/{task.name}")
    lasted = state.last_duration or 1.0
    first = 1 if state.running else 0  # the one under way is no past yet
    began = [state.last_run - n * task.schedule.seconds for n in range(first, PAST)]
    return [_run(citizen, task, n, at, lasted, chance) for n, at in enumerate(began)]


def _run(citizen: str, task: Task, n: int, at: float, lasted: float, chance: random.Random) -> RunRecord:
    reason, in_a_row = FAILURES.get((citizen, task.name), ("Connection reset by peer", 0))
    lasted *= chance.uniform(0.7, 1.3)
    bad = n < in_a_row or chance.random() < SELDOM
    outcome, text = (Outcome.FAILED, reason) if bad else (Outcome.OK, task.description)
    trigger = Trigger.FORCE if chance.random() < SELDOM else Trigger.SCHEDULE
    return RunRecord(0, task.name, at, at + lasted, lasted, outcome, trigger, 1, text, True)
