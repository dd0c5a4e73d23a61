"""What a task is: its schedule and work, what its handler gets and gives back.

All times are Unix seconds (UTC), all durations seconds.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from scheduler.core.costs import Usage
from scheduler.core.schedules.active_hours import ActiveHours
from scheduler.core.schedules.schedule import LONGEST, Every, Schedule
from scheduler.core.values import value

BUILT_IN = "scheduler.handlers."  # where the modules of the built-in handlers are
WAKE = "wake"  # the name of the citizen's turn, a run like others; no task may have it


class Outcome(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"  # a person or an agent ended it
    SKIPPED = "skipped"  # it did not run, and the text says why
    REFUSED = "refused"  # the provider was away

    @property
    def bad(self) -> bool:
        """Whether it is a failure; the last three are neither failures nor successes."""
        return self in _BAD

    @property
    def done(self) -> bool:
        """Whether the run did its work: not if it failed, was refused, skipped or stopped."""
        return self in _DONE


_DONE = frozenset({Outcome.OK, Outcome.WARNING})
_BAD = frozenset({Outcome.FAILED, Outcome.TIMED_OUT, Outcome.INTERRUPTED})


class Trigger(StrEnum):
    SCHEDULE = "schedule"
    FORCE = "force"
    WAKE = "wake"
    RETRY = "retry"
    CATCH_UP = "catch-up"
    URGENT = "urgent"  # only of a wake: the text of a run began with URGENT


# ------------------------------------------------------------------ what a handler gets and gives


@value
class Report:
    """A handler's answer when text is not enough: a warning, or a request to wake the citizen now."""

    text: str = ""
    warning: bool = False
    urgent: bool = False


@value
class Progress:
    """The progress of a run: `done` of `total` (0 if unknown), and what it does now."""

    done: float
    total: float
    text: str = ""

    @property
    def share(self) -> float | None:
        """The share of the run that is done, from 0 to 1; None if its handler reports no total."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total > 0 else None


def _ignore_progress(progress: Progress) -> None: ...
def _ignore_usage(usage: Usage) -> None: ...


@value
class Llm:
    """A language model that handlers may ask; `timeout` is the seconds that it may be silent."""

    url: str
    model: str
    api: str = "ollama"
    key: str = field(default="", repr=False)
    timeout: float = 120.0


@value
class Alerts:
    """Where alerts go: one is sent after `after` failures in a row; the address may be a secret."""

    on: frozenset[str]
    after: int = 2
    command: tuple[str, ...] = ()
    webhook: str = field(default="", repr=False)
    apprise: tuple[str, ...] = field(default=(), repr=False)


@value
class Context:
    """Everything that a handler gets for its run."""

    citizen: str
    home: Path
    task: str
    options: Any = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    last_success: float | None = None
    trigger: Trigger = Trigger.SCHEDULE
    report: Callable[[Progress], None] = _ignore_progress
    llm: Llm | None = None
    usage: Callable[[Usage], None] = _ignore_usage
    variables: Mapping[str, str] | None = None  # additional environment variables of a program

    def progress(self, done: float, total: float = 0, text: str = "") -> None:
        """Show on screen how far this run is; may be called as often as you like, from any thread."""
        self.report(Progress(float(done), float(total), str(text)))

    def used(self, model: str, tokens_in: int | None, tokens_out: int | None) -> None:
        """Count tokens of a model for this run; None where unknown. From any thread."""
        self.usage(Usage(str(model), tokens_in, tokens_out))

    @property
    def log(self) -> "logging.LoggerAdapter[logging.Logger]":
        """A logger whose lines carry the citizen and the task."""
        fields = {"citizen": self.citizen, "task": self.task}
        return logging.LoggerAdapter(logging.getLogger("experience.task"), fields)


class Handler(Protocol):
    """`def h(ctx: Context) -> str | Report | None`, or v2's `def h(citizen: str) -> str`; sync or async."""

    def __call__(self, context: Any, /) -> Any: ...


# ------------------------------------------------------------------ what a task runs


@value
class Call:
    """A Python callable in this process: a coroutine function on the loop, any other in a thread."""

    function: Handler


@value
class Imported:
    """A function of a module, in this process: only an executor imports it, when it first runs."""

    source: str
    function: str


@value
class Isolated:
    """A Python callable in its own process: `source` is a file or a module."""

    source: str
    function: str


@value
class Command:
    """A program and its arguments; never a shell. `input` goes to its standard input.

    It runs in `folder`, or else in the citizen's home; without `inherit` it gets only its own variables.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    input: bytes = b""
    folder: Path | None = None
    inherit: bool = True


@value
class NotSetUp:
    """No work yet: `setting` is the missing setting, `advice` the lines to add."""

    setting: str
    advice: str = ""


Work = Call | Imported | Isolated | Command | NotSetUp
NO_COMMAND = Command(())  # the work of a wake without a command


@value
class Task:
    """A named chore of one citizen: a schedule plus what it runs."""

    name: str
    schedule: Schedule
    work: Work
    timeout: float = 300.0
    priority: int = 50
    retries: int = 0
    retry_delay: float = 30.0
    pause_after: int = 0  # failures in a row after which it is paused; 0: never
    news: bool = True  # a new text, not only a failure or recovery, is a reason to wake the citizen
    jitter: float = 0.0
    catch_up: bool = True
    enabled: bool = True
    active: ActiveHours | None = None  # when the schedule may start it; None: always
    options: Any = None
    description: str = ""
    ping: str = field(default="", repr=False)  # an address that is called at each run
    ping_on: frozenset[str] = frozenset(("ok", "failed"))
    report: str = ""  # the program whose output says what a run cost, or "file"
    provider: str = ""  # the service that its runs call
    queue: str = ""  # the queue of the workers that carry out its runs; "": its owner's process
    source: str = ""  # the files with its settings
    hidden: frozenset[str] = frozenset()  # the keys whose values came from .env or the environment

    @property
    def is_wake(self) -> bool:
        """Whether it is the citizen's turn, which needs no worker and waits for due tasks."""
        return self.name == WAKE

    @property
    def set_up(self) -> bool:
        return not isinstance(self.work, NotSetUp)

    @property
    def builtin(self) -> bool:
        """Whether it runs a built-in handler, or would if it were set up."""
        work = self.work
        ours = isinstance(work, Call) and str(getattr(work.function, "__module__", "")).startswith(BUILT_IN)
        return ours or isinstance(work, NotSetUp)

    @property
    def ends(self) -> bool:
        """Whether its runs have a time limit; a wake does not wait for a daemon."""
        return self.timeout < LONGEST

    def with_work(self, work: Work) -> "Task":
        return replace(self, work=work)


@value
class Gate:
    """Decides whether a wake is worth its cost: by a command, or else by whether anything is new."""

    command: Command | None = None
    paths: tuple[str, ...] = ()  # in the home; a change below one is news
    at_most: float | None = None  # seconds after the last wake when the citizen is woken anyway


@value
class WakeTask(Task):
    """The citizen's turn as a task, and what only a wake has; without a command it is only recorded."""

    name: str = WAKE
    schedule: Schedule = Every(600.0)
    work: Work = NO_COMMAND
    timeout: float = 3600.0
    patience: float = 300.0
    urgent_cooldown: float = 600.0
    gate: Gate | None = None

    @property
    def configured(self) -> bool:
        """Whether a wake runs anything."""
        return self.work != NO_COMMAND


@value
class Group:
    """A group of users of this machine."""

    name: str
    number: int

    def __str__(self) -> str:
        return self.name


@value
class Retention:
    """How much history is kept: the number of runs of each task, and their maximal age in seconds."""

    runs: int = 10_000
    seconds: float = 400 * 86400.0
