"""Which runs stand in one row, and in which order the rows are."""

from collections.abc import Container, Sequence

from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome
from scheduler.core.wording.spans import clock
from tui.details.costs import cost_of

Group = tuple[RunRecord, ...]  # the newest first


def grouped(
    runs: Sequence[RunRecord], *, unfolded: bool, by_cost: bool, opened: Container[int] = ()
) -> list[Group]:
    """The rows: times that were let go one after the other for the same reason are one.

    Each alone where one of them is `opened`, by its id; `by_cost` the dearest come first, each alone.
    """
    if by_cost:
        return [(run,) for run in sorted(runs, key=cost_of, reverse=True)]
    groups: list[list[RunRecord]] = []
    for run in runs:
        if groups and not unfolded and _alike(groups[-1][-1], run):
            groups[-1].append(run)
        else:
            groups.append([run])
    return [row for group in groups for row in _rows(tuple(group), opened)]


def _rows(group: Group, opened: Container[int]) -> list[Group]:
    return [(run,) for run in group] if any(run.id in opened for run in group) else [group]


def span_of(group: Group) -> str:
    """From the first time to the last: `13:30 - 13:50`."""
    return f"{clock(group[-1].started, '%H:%M')} - {clock(group[0].started, '%H:%M')}"


def begun_before(runs: Sequence[RunRecord]) -> dict[int, float]:
    """For each time that was let go, by its id, when the last run before it began."""
    found: dict[int, float] = {}
    last: float | None = None
    for run in reversed(runs):
        if run.outcome is not Outcome.SKIPPED:
            last = run.started
        elif last is not None:
            found[run.id] = last
    return found


def _alike(run: RunRecord, other: RunRecord) -> bool:
    return run.outcome is other.outcome is Outcome.SKIPPED and run.text == other.text
