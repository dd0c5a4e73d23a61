"""Put a task's definition into words, with its secrets masked."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.core.schedules.forecast import upcoming
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.schedules.schedule import Cron, Every, Schedule, long_duration, short_duration
from scheduler.core.secrets import MASK, Masks
from scheduler.core.state import TaskState
from scheduler.core.task import BUILT_IN, Call, Command, Gate, Imported, Isolated, NotSetUp, Task, WakeTask
from scheduler.core.views import Ping
from scheduler.core.wording.text import ago


@dataclass(frozen=True, slots=True)
class DefinitionField:
    """A line about a task; `usual` if its value is the default."""

    label: str
    words: str
    usual: bool = False


@dataclass(frozen=True, slots=True)
class TaskDetails:
    """A task's definition and its next times (Unix seconds)."""

    task: str
    facts: tuple[DefinitionField, ...] = ()
    options: tuple[DefinitionField, ...] = ()
    upcoming: tuple[float, ...] = ()
    in_process: bool = False  # it runs in a thread of the scheduler, which cannot kill it


def explain(
    citizen: str,
    task: Task,
    state: TaskState,
    now: float,
    floor: float,
    masks: Masks,
    freeze: Freeze | None = None,
    held: float = 0.0,
    ping: Ping | None = None,
) -> TaskDetails:
    """The task's definition and next times, none before `held`."""
    special = _special(task, masks) if isinstance(task, WakeTask) else ()
    return TaskDetails(
        task=task.name,
        facts=tuple(_facts(task, masks, _ping_words(ping, now))),
        options=(*_options(task, masks), *special),
        upcoming=upcoming(citizen, task, state, now, floor, freeze=freeze, held=held),
        in_process=isinstance(task.work, Call | Imported),
    )


def _ping_words(ping: Ping | None, now: float) -> str:
    if ping is None:
        return ""
    when = f"{ago(now - ping.time)} ago"
    return f"; the last one failed {when}: {ping.error}" if ping.error else f"; the last one arrived {when}"


def _facts(task: Task, masks: Masks, last_ping: str) -> Iterator[DefinitionField]:
    if task.description:
        yield DefinitionField("about", masks.text(task.description))
    yield DefinitionField("schedule", _schedule(task.schedule))
    if task.active:
        yield DefinitionField("active", f"{task.active} ({task.active.zone})")
    yield DefinitionField("runs", _work(task, masks))
    yield from _command(task, masks)
    yield DefinitionField("set in", task.source or "built in", not task.source)
    if not task.enabled:
        yield DefinitionField("enabled", "no: only when forced")
    yield DefinitionField("timeout", short_duration(task.timeout))
    yield DefinitionField("retries", _retries(task), not task.retries)
    if task.pause_after:
        yield DefinitionField("pauses", f"after {task.pause_after} failures in a row")
    yield DefinitionField("missed runs", "run once when back" if task.catch_up else "skipped", task.catch_up)
    yield DefinitionField(
        "jitter", f"up to {short_duration(task.jitter)}" if task.jitter else "none", not task.jitter
    )
    if not task.is_wake:
        yield DefinitionField("priority", f"{task.priority} (lower runs first)")
        if task.report:
            yield DefinitionField("report", _report(task.report))
        if task.provider:
            yield DefinitionField("provider", task.provider)
    if task.ping:
        yield DefinitionField("ping", f"{MASK}, on {' and '.join(sorted(task.ping_on))}{last_ping}")


def _special(plan: WakeTask, masks: Masks) -> Iterator[DefinitionField]:
    """The lines that only a wake has."""
    usual = WakeTask()
    waits = f"waited for, up to {short_duration(plan.patience)}"
    yield DefinitionField("due tasks", waits, plan.patience == usual.patience)
    often = f"wakes at once, at most every {short_duration(plan.urgent_cooldown)}"
    yield DefinitionField("urgent", often, plan.urgent_cooldown == usual.urgent_cooldown)
    if plan.gate:
        yield DefinitionField("gate", _gate(plan.gate, masks))
    if plan.report:
        yield DefinitionField("report", _report(plan.report))
    if plan.provider:
        yield DefinitionField("provider", plan.provider)


def _report(program: str) -> str:
    where = "the file that it writes" if program == "file" else f"what {program} prints"
    return f"its cost, from {where}"


def _gate(gate: Gate, masks: Masks) -> str:
    anyway = f"; wakes anyway after {short_duration(gate.at_most)}" if gate.at_most else ""
    if gate.command:
        return f"{_shell(masks.words(gate.command.argv))}{anyway}"
    return f"{', '.join(('news: queue', 'task results', *gate.paths))}{anyway}"


def schedule_words(schedule: Schedule) -> str:
    """The schedule in words, with the zone of a cron expression."""
    match schedule:
        case Every(seconds):
            length = long_duration(seconds)
            one = length.removeprefix("1 ")
            return f"every {length if ' ' in one else one}"
        case Cron() as cron:
            return f"{cron.in_english()} ({cron.zone})"
    return "once, each time the scheduler starts"


def _schedule(schedule: Schedule) -> str:
    exact = f": {schedule}" if isinstance(schedule, Cron) else ""
    return schedule_words(schedule) + exact


def _work(task: Task, masks: Masks) -> str:
    match task.work:
        case Call(function):
            module = getattr(function, "__module__", "") or ""
            name = getattr(function, "__qualname__", type(function).__name__)
            return f"built-in: {name}" if module.startswith(BUILT_IN) else f"{module}:{name}"
        case Imported(source, function):
            return f"{masks.text(source)}:{function}"
        case Isolated(source, function):
            return f"{masks.text(source)}:{function}, in a process of its own"
        case Command(()):
            return "nothing yet: it is recorded; add command to [wake]"
        case Command(argv):
            return _shell(masks.words(argv)).replace(f"'{MASK}'", MASK)
        case NotSetUp(setting):
            return f"nothing yet: {setting} is not set"


def _shell(argv: Iterable[str]) -> str:
    """The command as one would type it in a shell."""
    return " ".join(map(_quoted, argv))


def _quoted(word: str) -> str:
    """The word in the kind of quotes that needs no escapes inside, if possible, to be easy to read."""
    readable = "'" in word and not set(word) & set('"\\$`!')
    return f'"{word}"' if readable else shlex.quote(word)


def _command(task: Task, masks: Masks) -> Iterator[DefinitionField]:
    """The lines about what a command gets besides its arguments."""
    if not isinstance(task.work, Command):
        return
    if task.work.folder:
        yield DefinitionField("working folder", masks.text(str(task.work.folder)))
    if not task.work.inherit:
        yield DefinitionField("inherits", "nothing of the scheduler's environment, nor the secrets")
    if task.work.environment:
        yield DefinitionField("environment", masks.value("", task.work.environment))
    if task.work.input:
        yield DefinitionField("input", f"{len(task.work.input):,} bytes")


def _retries(task: Task) -> str:
    if not task.retries:
        return "none"
    return f"{task.retries}, the first after {short_duration(task.retry_delay)}, then doubling"


def _options(task: Task, masks: Masks) -> Iterator[DefinitionField]:
    """The handler's own settings, if the task runs a handler."""
    if isinstance(task.options, Mapping):
        yield from _free_options(task, masks)
    elif task.options is not None and isinstance(task.work, Call | NotSetUp):
        yield from _known_options(task, masks)


def _free_options(task: Task, masks: Masks) -> Iterator[DefinitionField]:
    for name, value in task.options.items():
        yield DefinitionField(name, MASK if "options" in task.hidden else masks.value(name, value))


def _known_options(task: Task, masks: Masks) -> Iterator[DefinitionField]:
    for name, field in type(task.options).model_fields.items():
        value = getattr(task.options, name)
        duration = any(getattr(each, "is_duration", False) for each in field.metadata)
        shown = short_duration(value) if duration and isinstance(value, float) else masks.value(name, value)
        yield DefinitionField(name, MASK if name in task.hidden else shown, _same(value, field.default))


def _same(value: Any, usual: Any) -> bool:
    return type(value) is type(usual) and value == usual
