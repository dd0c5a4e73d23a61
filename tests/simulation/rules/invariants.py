"""The rules of the contract that hold in every history, one function each.

A rule gets the history and the trace of what really happened and yields what broke. To add one: write a
function here and name it in RULES. The rules about starts share one reading of the trace, `wanted`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

from scheduler.core.state import TaskState
from scheduler.core.views import Snapshot
from scheduler.storage.state_store import LAST_RETRY
from tests.simulation.history import History
from tests.simulation.rules.freezing import (
    a_timed_pause_ends_by_itself,
    no_schedule_starts_outside_its_hours,
    nothing_starts_in_a_freeze,
)
from tests.simulation.rules.oracle import NEVER
from tests.simulation.rules.owed import SCHEDULED, Broken
from tests.simulation.rules.wanted import PATIENCE, wanted
from tests.simulation.trace import Fact

Trace = list[Fact]
Rule = Callable[[History, Trace], Iterable[Broken]]

HISTORY_LOST = 1.0  # seconds of finished runs that a kill -9 may lose
SLOW = 15.0  # the same, and what a start takes, while the disk is slow
RESULTS_KEPT = 200
LATEST = 12.0  # seconds that a start may need for itself


def _on_disk(trace: Trace) -> Iterator[tuple[Fact, bool]]:
    """Each fact, and whether the disk holds what was answered: not a full one, until the next attempt."""
    full_until = -NEVER
    for fact in trace:
        if fact.kind in ("disk full", "disk free"):
            full_until = NEVER if fact.kind == "disk full" else fact.at + LAST_RETRY + SLOW
        yield fact, fact.at >= full_until and fact.kind != "cut"


def a_task_never_overlaps_itself(history: History, trace: Trace) -> Iterator[Broken]:
    """Nor does the wake, whatever asks for it; a process of a dead owner counts while it lives."""
    alive: dict[str, set[int]] = defaultdict(set)
    for fact, saved in _on_disk(trace):
        if fact.kind == "killed" and not saved:  # a start that no disk took is not known to the next owner
            for name, state in fact.more.items():
                alive[name] &= {each.pid for each in (state.running, state.orphan) if each}
        elif fact.kind == "began":
            if alive[fact.task]:
                yield Broken("overlap", fact.at, fact.task, "it begins while an earlier run of it is alive")
            alive[fact.task].add(fact.more[0])
        elif fact.kind == "ended":
            alive[fact.task].discard(fact.more[0])


def counts_never_go_back(history: History, trace: Trace) -> Iterator[Broken]:
    """What a screen showed of runs and wakes, and what the agent read, only grows.

    But a power cut takes back what was not synced, and a kill what no disk had taken.
    """
    highest: dict[str, int] = defaultdict(int)
    for fact, saved in _on_disk(trace):
        if fact.kind in ("cut", "killed") and not saved:
            highest = defaultdict(int, {name: state.run_count for name, state in fact.more.items()})
        for name, count in _counts(fact):
            if count < highest[name]:
                yield Broken("count", fact.at, name, f"its count goes back from {highest[name]} to {count}")
            highest[name] = max(highest[name], count)


def _counts(fact: Fact) -> Iterator[tuple[str, int]]:
    if fact.kind == "looked":
        yield "the number of the wake", fact.more.wake.count  # not its runs: a refused one keeps its number
        yield from ((view.name, view.run_count) for view in fact.more.tasks)
    elif fact.kind == "began" and fact.task == "wake":
        yield "the letter's wake", fact.more[2]["wake"]


def every_run_is_counted(history: History, trace: Trace) -> Iterator[Broken]:
    """A run that began is in the count, also if its owner died; a disk that was full may have forgotten."""
    if any(fact.kind == "disk full" for fact in trace):
        return
    began: dict[str, int] = defaultdict(int)
    alive: dict[str, int] = defaultdict(int)
    settled = -NEVER
    for fact in trace:
        if fact.kind in ("ended", "goes on"):
            settled = fact.at + 1
        if fact.kind == "cut":  # starts were renamed only; what is alive ends after it
            began = defaultdict(int, {name: state.run_count for name, state in fact.more.items()})
        if fact.kind in ("began", "ended") and fact.task != "wake":
            began[fact.task] += fact.kind == "began"
            alive[fact.task] += 1 if fact.kind == "began" else -1
        elif fact.kind == "looked" and fact.at > settled:
            for view in fact.more.tasks:
                if view.run_count < began[view.name] - max(alive[view.name], 0):
                    text = f"it shows {view.run_count} runs, and {began[view.name]} began"
                    yield Broken("count", fact.at, view.name, text)


def every_result_reaches_a_wake(history: History, trace: Trace) -> Iterator[Broken]:
    """What a task said since the last wake is in the next one's letter, over restarts, too."""
    owed: dict[tuple[str, str], float] = {}
    slack, awake = HISTORY_LOST, 0
    for fact in trace:
        if fact.kind == "slow disk":
            slack = SLOW
        elif fact.kind == "recorded" and fact.task != "wake" and fact.more[1].startswith("run "):
            owed[fact.task, fact.more[1]] = fact.at
        elif fact.kind == "killed":
            owed = {key: at for key, at in owed.items() if at < fact.at - slack}
            if _perhaps_told(fact.more.get("wake"), awake):
                owed.clear()
        elif fact.kind == "began" and fact.task == "wake":
            awake = fact.more[0]
            for each in fact.more[2]["results"]:
                owed.pop((each["task"], each["text"]), None)
            late = [key for key, at in owed.items() if at < fact.at - slack]
            if late and len(fact.more[2]["results"]) < RESULTS_KEPT:
                yield Broken("result", fact.at, "wake", f"it is not given {late[0][0]}'s {late[0][1]}")
            for key in late:
                del owed[key]


def no_result_is_told_twice(history: History, trace: Trace) -> Iterator[Broken]:
    """Nor by the next owner; what was delivered is not known after a power cut, or where no disk took it."""
    given: set[tuple[str, str]] = set()
    for fact, saved in _on_disk(trace):
        if not saved:
            given.clear()
        elif fact.kind == "began" and fact.task == "wake":
            letter = {(each["task"], each["text"]) for each in fact.more[2]["results"]}
            for task, text in sorted(letter & given):
                if text.startswith("run "):
                    yield Broken("result", fact.at, "wake", f"it is given {task}'s {text} a second time")
            given |= letter


def _perhaps_told(wake: TaskState | None, awake: int) -> bool:
    """The agent's process is on record, and its owner died before the gate opened: it cannot be known."""
    if wake is None or wake.running is None or wake.starting:
        return False
    return wake.running.pid != awake


def a_result_beats_its_deadline(history: History, trace: Trace) -> Iterator[Broken]:
    """A run that ended in time did not time out, however late its scheduler looks."""
    timeouts = {fact.task: fact.more.timeout for fact in trace if fact.kind == "planned"}
    began: dict[str, float] = {}
    in_time: dict[str, bool] = {}
    for fact in trace:
        if fact.kind == "began":
            began[fact.task], in_time[fact.task] = fact.at, False
        elif fact.kind == "ended" and fact.more[1] == "by itself":
            in_time[fact.task] = fact.at - began[fact.task] < timeouts[fact.task] - SLOW
        elif fact.kind == "recorded" and in_time.pop(fact.task, False) and fact.more[0] == "timed out":
            yield Broken("deadline", fact.at, fact.task, "it ended in time and is said to have timed out")


def what_is_written_in_part_never_counts(history: History, trace: Trace) -> Iterator[Broken]:
    """Settings count once two looks found them the same, and what is missing in them after ten seconds."""
    for fact in trace:
        if fact.kind == "half settings":
            yield Broken("settings", fact.at, fact.task, "a part of the settings counts")


def the_screen_says_what_then_happens(history: History, trace: Trace) -> Iterator[Broken]:
    """A row's next time is the time at which it runs, unless something happens in between."""
    changed, occupied, frozen = -NEVER, set[str](), False
    for index, fact in enumerate(trace):
        _occupy(occupied, fact)
        frozen = fact.kind == "frozen" or (frozen and fact.kind != "thawed")  # seen by its owner or not yet
        if fact.kind in ("clock", "slept"):
            changed = fact.at + history.look
        elif fact.kind in ("asked", "answered", "edited", "goes on", "up", "thawed"):
            changed = max(changed, fact.at)
        noticed = fact.at > changed + 1
        cold = frozen or (fact.kind == "looked" and fact.more.freeze)
        if fact.kind == "looked" and noticed and len(occupied) < history.workers and not cold:
            yield from _foretold(history, fact.more, trace, index, occupied)


def _occupy(occupied: set[str], fact: Fact) -> None:
    """These tasks have a worker."""
    if fact.kind == "up":
        occupied.clear()
    elif fact.kind == "starting" and fact.task != "wake":
        occupied.add(fact.task)
    elif fact.kind == "finished":
        occupied.discard(fact.task)


def _foretold(
    history: History, snapshot: Snapshot, trace: Trace, index: int, occupied: set[str]
) -> Iterator[Broken]:
    for view in snapshot.tasks:
        if view.running_since is None and not view.queued and not view.note.startswith("waits"):
            due = NEVER if view.due is None else view.due
            yield from _agrees(history, view.name, due, trace, index, set(occupied))


DISTURBING = frozenset(
    {"clock", "slept", "stalled", "killed", "stopping", "disk full", "slow disk", "frozen"}
)


def _agrees(
    history: History, task: str, due: float, trace: Trace, index: int, occupied: set[str]
) -> Iterator[Broken]:
    looked = trace[index]
    waits = PATIENCE if task == "wake" else 0.0  # for the tasks that are due, before its turn starts
    latest = max(due, looked.wall) + history.look + LATEST + waits
    for fact in trace[index + 1 :]:
        if fact.kind in DISTURBING or (fact.kind in ("asked", "edited") and fact.task == task):
            return
        if fact.wall > latest:
            yield Broken(
                "screen", looked.at, task, f"it says next in {due - looked.wall:.0f} s, and nothing runs"
            )
            return
        if fact.kind == "starting" and fact.task == task:
            if fact.more in SCHEDULED and fact.wall < due - 0.2:
                said = "nothing" if due == NEVER else f"in {due - looked.wall:.1f} s"
                text = f"it says next: {said}, and it runs after {fact.wall - looked.wall:.1f} s"
                yield Broken("screen", looked.at, task, text)
            return
        _occupy(occupied, fact)
        if len(occupied) >= history.workers:
            return


RULES: tuple[Rule, ...] = (
    a_task_never_overlaps_itself,
    counts_never_go_back,
    every_run_is_counted,
    every_result_reaches_a_wake,
    no_result_is_told_twice,
    a_result_beats_its_deadline,
    what_is_written_in_part_never_counts,
    the_screen_says_what_then_happens,
    nothing_starts_in_a_freeze,
    a_timed_pause_ends_by_itself,
    no_schedule_starts_outside_its_hours,
)


def broken_rules(history: History, trace: Trace, judged: Counter[bool]) -> list[Broken]:
    """Everything that broke, the earliest first; `judged` counts what was decided and what left open."""
    found = [*wanted(history, trace, judged), *(each for rule in RULES for each in rule(history, trace))]
    return sorted(found, key=lambda broken: broken.at)
