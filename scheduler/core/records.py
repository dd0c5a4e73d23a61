"""What history keeps of a run, what a query may ask for, and the port that records finished runs."""

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from scheduler.core.costs import RunCost
from scheduler.core.task import Outcome, Retention, Trigger
from scheduler.core.values import value
from scheduler.errors import UnknownRun, UnknownTask
from scheduler.process.who import Who

LISTED = 50  # runs in an answer, unless another number is asked for
MOST_LISTED = 200  # through a Control: an answer is made on the owner's loop


@value
class RunRecord:
    """One finished run; times are Unix seconds, `seconds` is how long it took."""

    id: int
    task: str
    started: float
    finished: float
    seconds: float
    outcome: Outcome
    trigger: Trigger | None = None  # None: the run was found open after its owner had died
    attempt: int = 1
    text: str = ""
    printed: bool = False  # there is output, or a traceback, to ask for
    cost: RunCost | None = None
    who: Who | None = None  # asked for it; None: its time had come
    stopped_by: Who | None = None
    why: str = ""  # its gate let it begin
    machine: str = ""  # ran it, of several that share the citizen


@value
class RunQuery:
    """Which runs: of a task or of all, the newest first, `before` the run with that id."""

    task: str | None = None
    limit: int = LISTED
    failed: bool = False
    before: int | None = None


def listed(runs: Iterable[RunRecord], asked: RunQuery) -> tuple[RunRecord, ...]:
    """What `asked` picks from runs in memory."""
    found = (
        run
        for run in sorted(runs, key=lambda run: -run.id)
        if asked.task in (None, run.task)
        and (run.outcome.bad or not asked.failed)
        and (asked.before is None or run.id < asked.before)
    )
    return tuple(islice(found, asked.limit))


def last_begun(runs: Sequence[RunRecord]) -> RunRecord | None:
    """Of these, the newest first, the first that was not skipped; the newest if all were."""
    begun = (run for run in runs if run.outcome is not Outcome.SKIPPED)
    return next(begun, runs[0] if runs else None)


class Printed(Protocol):
    """What a run wrote; asked for its text off the loop."""

    size: int

    def text(self) -> str: ...


class FinishedRun(NamedTuple):
    """A run that has just ended, on its way to the history."""

    task: str
    trigger: Trigger | None
    attempt: int
    started: float
    finished: float
    seconds: float
    outcome: Outcome
    text: str
    traceback: str = ""
    output: Printed | None = None
    cost: RunCost | None = None
    who: Who | None = None
    stopped_by: Who | None = None
    why: str = ""  # its gate let it begin
    machine: str = ""  # ran it, of several that share the citizen


Notify = Callable[[str, str], None]


class Recorder(Protocol):
    """Where the finished runs of one citizen go; nothing of it ever holds up a run."""

    keep: Retention

    def begin(self, notify: Notify) -> None:
        """Runs are recorded from now on, by this loop; `notify` gets what is wrong with that, as an event."""

    def record(self, run: FinishedRun) -> None:
        """Remember the run; returns at once."""

    async def runs(self, asked: RunQuery, known: Collection[str]) -> tuple[RunRecord, ...]:
        """The runs that were asked for; raises UnknownTask for a task that is in neither, Unreadable."""

    async def output(self, run: int) -> str:
        """What that run wrote; raises UnknownRun."""

    async def close(self) -> None:
        """Everything that was recorded is in the history, unless its disk hangs."""


class Forgetful:
    """Remembers nothing: for schedulers whose home is not on a disk."""

    keep = Retention()

    def begin(self, notify: Notify) -> None: ...

    def record(self, run: FinishedRun) -> None: ...

    async def runs(self, asked: RunQuery, known: Collection[str]) -> tuple[RunRecord, ...]:
        if asked.task is not None and asked.task not in known:
            raise UnknownTask(asked.task, known)
        return ()

    async def output(self, run: int) -> str:
        raise UnknownRun(run)

    async def close(self) -> None: ...
