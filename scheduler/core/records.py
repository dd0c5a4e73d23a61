"""Values of the history: a run, a query for runs, and the port that records finished runs."""

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from scheduler.core.costs import RunCost
from scheduler.core.task import Outcome, Retention, Trigger
from scheduler.core.values import value
from scheduler.errors import UnknownRun, UnknownTask
from scheduler.process.who import Who

LISTED = 50  # runs in an answer by default
MOST_LISTED = 200  # through a Control, since its answers are made on the owner's loop


@value
class RunRecord:
    """One finished run; times are Unix seconds, `seconds` is how long it took."""

    id: int
    task: str
    started: float
    finished: float
    seconds: float
    outcome: Outcome
    trigger: Trigger | None = None  # None: its owner died, and the run was found open
    attempt: int = 1
    text: str = ""
    printed: bool = False  # there is output or a traceback to fetch
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
    """The runs in memory that match `asked`."""
    found = (
        run
        for run in sorted(runs, key=lambda run: -run.id)
        if asked.task in (None, run.task)
        and (run.outcome.bad or not asked.failed)
        and (asked.before is None or run.id < asked.before)
    )
    return tuple(islice(found, asked.limit))


def last_begun(runs: Sequence[RunRecord]) -> RunRecord | None:
    """The newest run that was not skipped, or the newest if all were; `runs` are sorted, newest first."""
    begun = (run for run in runs if run.outcome is not Outcome.SKIPPED)
    return next(begun, runs[0] if runs else None)


class Printed(Protocol):
    """The output of a run; its text is read off the loop."""

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
    """Records the finished runs of one citizen; it never holds up a run."""

    keep: Retention

    def begin(self, notify: Notify) -> None:
        """Record runs from now on, by this loop; `notify` gets problems with that, as events."""

    def record(self, run: FinishedRun) -> None:
        """Record the run; returns at once."""

    async def runs(self, asked: RunQuery, known: Collection[str]) -> tuple[RunRecord, ...]:
        """The matching runs; raises Unreadable, or UnknownTask for a task neither recorded nor `known`."""

    async def output(self, run: int) -> str:
        """The output of that run; raises UnknownRun."""

    async def close(self) -> None:
        """Return when everything recorded is in the history, unless its disk hangs."""


class Forgetful:
    """A recorder that keeps nothing, for schedulers whose home is not on a disk."""

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
