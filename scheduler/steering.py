"""One verb for one citizen: through its owner where there is one, else under the lock in this process."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from .errors import Owned, SchedulerError, UnknownTask
from .fleet import Fleet
from .fleet_options import FleetOptions
from .members import Followed
from .model import Handler, Kind, TaskView
from .onlooker import Onlooker

WORDS = {Kind.NEVER: "ended", Kind.PAUSED: "ended, paused"}


@asynccontextmanager
async def steering(
    citizen: str,
    config: Path | None = None,
    *,
    as_root: bool = False,
    wakes: bool = False,
    handlers: Mapping[str, Handler] | None = None,
) -> AsyncIterator[Followed]:
    """The citizen's control, for as long as the block lasts; raises SchedulerError if there is none.

    `handlers` replace those of the settings, which only works where this process is the owner.
    """
    fleet = Fleet(FleetOptions(config=config, only=(citizen,), wakes=wakes, own_as_root=as_root))
    try:
        await fleet.start(dispatch=False)
        member = fleet.members[citizen]
        if isinstance(member.control, Onlooker) or (handlers and member.refusal):
            raise Owned(member.refusal)
        for scheduler in fleet.schedulers():
            for task, handler in (handlers or {}).items():
                scheduler.register_handler(task, handler)
        yield member.control
    finally:
        await fleet.stop()


async def force_and_wait(control: Followed, task: str, *, again: bool = False) -> TaskView:
    """Run the task now: its row once that run has ended. Raises what `force` raises."""
    before = _row(control, task)
    await control.force(task, again=again)
    async for snapshot in control.watch():
        row = snapshot.task(task)
        if snapshot.stale or row is None:
            raise SchedulerError(f"{task}: {snapshot.stale or 'it is gone from the settings'}")
        if row.run_count > before.run_count and row.running_since is None:
            return row
    raise AssertionError("a control is watched until it is left")


def _row(control: Followed, task: str) -> TaskView:
    snapshot = control.snapshot()
    row = snapshot.task(task)
    if row is None:
        raise UnknownTask(task, [each.name for each in snapshot.tasks])
    return row


def outcome_of(row: TaskView) -> str:
    """How the last run of a task went, in a line."""
    said = row.error.first_line if row.error else row.text
    word = "failed" if row.error else WORDS.get(row.kind, row.kind)
    return f"{row.name}: {word}" + (f": {said}" if said else "")
