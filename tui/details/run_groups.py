"""Groups runs into rows, and sorts the rows."""

from collections.abc import Container, Sequence

from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome
from scheduler.core.wording.spans import clock
from tui.details.costs import cost_of

Group = tuple[RunRecord, ...]  # the newest first


def grouped(
    runs: Sequence[RunRecord], *, unfolded: bool, by_cost: bool, opened: Container[int] = ()
) -> list[Group]:
    """The rows: consecutive skipped times with the same reason form one row.

    A group with an `opened` run (by id) is split; `by_cost` each run is a row, the dearest first.
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
    """The first and the last time: `13:30 - 13:50`."""
    return f"{clock(group[-1].started, '%H:%M')} - {clock(group[0].started, '%H:%M')}"


def begun_before(runs: Sequence[RunRecord]) -> dict[int, float]:
    """For each skipped time, by id: when the last run before it began."""
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
