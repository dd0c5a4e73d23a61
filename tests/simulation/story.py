"""A failing history as a story: what the tasks are, what happened when, and what should not have."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from scheduler.core.schedules.schedule import short_duration
from tests.simulation.history import History, Plan
from tests.simulation.rules.owed import Broken
from tests.simulation.trace import Fact

_SPANS = {"clock", "slept", "stalled"}
_HIDDEN = {
    "planned",
    "clock set",
    "awake",
    "goes on",
    "looked",
    "spawned",
    "recorded",
    "end",
    "started",
    "starting",
    "finished",
    "noticed",
    "pause",
    "resume",
    "reset",
    "urgent",
}


def tell(history: History, trace: list[Fact], broken: Broken) -> str:
    """The story of a broken rule, up to a little after it broke."""
    lines = [f"Seed {history.seed}. {broken.rule}: {broken.task or 'the citizen'}: {broken.text}.", ""]
    lines += [_introduce(plan) for plan in (*history.tasks, *filter(None, [history.wake]))]
    lines += ["", *_events(trace, broken)]
    return "\n".join(lines)


def _introduce(plan: Plan) -> str:
    when = f"at {plan.cron!r} ({plan.zone})" if plan.cron else f"every {short_duration(plan.every)}"
    kind = "a command" if plan.command or plan.name == "wake" else "a coroutine"
    return f"{plan.name} runs {when}: {kind} of about {plan.takes:g} s{''.join(_odds(plan))}."


def _odds(plan: Plan) -> Iterator[str]:
    if plan.slow:
        yield f", {plan.slow:.0%} take 20 times as long"
    if plan.fails:
        yield f", {plan.fails:.0%} fail"
    if plan.retries:
        yield f", {plan.retries} retries after {short_duration(plan.retry_delay)}"
    if plan.jitter:
        yield f", jitter {short_duration(plan.jitter)}"
    if plan.urgent:
        yield f", {plan.urgent:.0%} are urgent"
    if not plan.catch_up:
        yield ", catch_up = false"
    if not plan.enabled:
        yield ", disabled"
    if plan.timeout != 300:
        yield f", timeout {short_duration(plan.timeout)}"
    if plan.deaf:
        yield ", which ignores being asked to end"


def _events(trace: Iterable[Fact], broken: Broken) -> Iterator[str]:
    said = False
    for fact in _shortened(trace, broken):
        if not said and fact.at > broken.at:
            said = True
            yield f"{'':>21}  >>> {broken.task}: {broken.text}"
        if fact.kind not in _HIDDEN:
            yield f"{_time(fact.wall)}  {_sentence(fact)}"
    if not said:
        yield f"{'':>21}  >>> {broken.task}: {broken.text}"


def _shortened(trace: Iterable[Fact], broken: Broken) -> Iterator[Fact]:
    """What belongs to the broken task and to none; of many runs in a row the first and the last two."""
    runs: list[Fact] = []
    for fact in trace:
        if fact.kind in _HIDDEN or fact.task not in ("", broken.task):
            continue
        if fact.kind in ("began", "ended"):
            runs.append(fact)
            if fact.at <= broken.at:
                continue
        yield from _few(runs)
        runs = []
        if fact.kind not in ("began", "ended"):
            yield fact
        if fact.at > broken.at + 1:
            return
    yield from _few(runs)


def _few(runs: list[Fact]) -> list[Fact]:
    if len(runs) <= 8:
        return runs
    left = Fact(runs[2].at, runs[2].wall, "more", runs[0].task, (len(runs) - 6) // 2)
    return [*runs[:2], left, *runs[-4:]]


def _time(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(sep=" ", timespec="milliseconds")[:21]


def _sentence(fact: Fact) -> str:
    task, more = fact.task, fact.more
    match fact.kind:
        case "began":
            letter = f", with {len(more[2]['results'])} results" if more[2] else ""
            return f"{task} begins ({more[1]}{letter})"
        case "ended":
            return f"{task} ends ({more[1]})"
        case "more":
            return f"... {more} more runs of {task} ..."
        case "clock":
            return f"the clock is put {'forward' if more > 0 else 'back'} by {short_duration(abs(more))}"
        case "slept":
            return f"the machine sleeps for {short_duration(more)}"
        case "stalled":
            return f"the scheduler stands still for {short_duration(more)}"
        case "frozen" | "thawed":
            return f"the citizen is {fact.kind} by another process"
        case "up":
            return "the scheduler is up"
        case "killed":
            return "the scheduler is killed"
        case "cut":
            return "the power goes"
        case "stopping" | "stopped":
            return f"the scheduler is {fact.kind}"
        case "asked":
            return f"a person asks: {more} {task if task != more else ''}".rstrip()
        case "answered":
            return f"the answer is: {more[0]}{'' if more[1] else ', not saved'}"
        case "refused":
            return f"the answer is: no, {more[1]}"
        case "edited":
            return f"the settings change: {_introduce(more)}" + (" It is removed." if more.removed else "")
    return f"{fact.kind} {task}".strip()
