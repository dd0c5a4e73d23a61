"""Forced runs and wakes that somebody waits for: what they print meanwhile, and how they end."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

from scheduler.control.member import Followed
from scheduler.core.records import LISTED
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Event, OutputChunk, Snapshot, TaskStatus, TaskView
from scheduler.errors import SchedulerError, UnknownTask

WHOLE = 128 * 1024  # characters that a run may have printed to be compared with its history

Show = Callable[[OutputChunk], Awaitable[object]]


async def force_and_wait(
    control: Followed, task: str, *, again: bool = False, show: Show | None = None
) -> Event:
    """Run the task now: how that run ended. Raises what `force` raises.

    What the run prints goes to `show` as it comes, and its traceback after that.
    """
    newest = await _newest(control, task) if show else 0
    before, seen = _row(control.snapshot(), task), _seen(control.snapshot())
    await control.force(task, again=again)
    started = await _event(control, before, "started", seen)
    shown = await _follow(control, task, show) if show else ""
    ended = started if started.kind == "finished" else await _event(control, before, "finished", started.seq)
    if show and shown is not None and (rest := await _unseen(control, task, newest, again, shown)):
        await show(OutputChunk(rest))
    return ended


async def wake_and_wait(control: Followed) -> Event:
    """Wake the citizen now, or wait for the wake that is under way: how it ended."""
    seen = _seen(control.snapshot())
    await control.wake()
    async for snapshot in control.watch():
        _refuse_stale(snapshot)
        fresh = {event.kind: event for event in snapshot.events if event.seq > seen}
        if "wake finished" in fresh:
            return fresh["wake finished"]
        if "wake started" in fresh and snapshot.wake.running_since is None:
            raise SchedulerError(f"{control.citizen}: the wake did not end as one should; see its log")
    raise AssertionError("a control is watched until it is left")


def outcome_of(ended: Event) -> str:
    """How a run went, in a line."""
    said = next((line.strip() for line in ended.text.splitlines() if line.strip()), "")
    outcome = ended.outcome or Outcome.FAILED
    word = Outcome.FAILED if outcome.bad else outcome
    return f"{ended.task}: {word}" + (f": {said}" if said else "")


def _seen(snapshot: Snapshot) -> int:
    return snapshot.events[-1].seq if snapshot.events else 0


async def _event(control: Followed, before: TaskView, kind: str, after: int) -> Event:
    """The first start of a forced run, or end of one, after this event."""
    async for snapshot in control.watch():
        _refuse_stale(snapshot)
        row = _still_set_up(snapshot, before.name)
        for event in snapshot.events:
            forced = event.task == row.name and event.trigger is Trigger.FORCE
            if event.seq > after and event.kind == kind and forced:
                return event
        if (
            snapshot.events
            and snapshot.events[0].seq > after + 1
            and (guess := _guess(snapshot, row, before, kind))
        ):
            return guess
    raise AssertionError("a control is watched until it is left")


def _guess(snapshot: Snapshot, row: TaskView, before: TaskView, kind: str) -> Event | None:
    """What the row says of the run, where so much happened that its own events were let go."""
    if row.run_count > before.run_count and row.running_since is None and not row.queued:
        outcome = (
            Outcome.FAILED if row.error else Outcome.WARNING if row.kind is TaskStatus.WARNING else Outcome.OK
        )
        text = row.error.text if row.error else row.text
        return Event(
            _seen(snapshot), 0.0, "finished", snapshot.citizen, row.name, outcome, text, Trigger.FORCE
        )
    if kind == "started" and row.running_since is not None:
        return Event(_seen(snapshot), 0.0, "started", snapshot.citizen, row.name, trigger=Trigger.FORCE)
    return None


def _refuse_stale(snapshot: Snapshot) -> None:
    if snapshot.stale:
        raise SchedulerError(f"{snapshot.citizen}: {snapshot.stale}")


def _still_set_up(snapshot: Snapshot, task: str) -> TaskView:
    row = _row(snapshot, task)
    if row.missing and row.running_since is None:
        raise SchedulerError(f"{task} is not set up any more: it needs {row.missing}")
    return row


def _row(snapshot: Snapshot, task: str) -> TaskView:
    row = snapshot.task(task)
    if row is None:
        raise UnknownTask(task, [each.name for each in snapshot.tasks])
    return row


async def _newest(control: Followed, task: str) -> int:
    with suppress(SchedulerError):  # no history is no reason not to run
        for run in await control.history(task, limit=1):
            return run.id
    return 0


async def _follow(control: Followed, task: str, show: Show) -> str | None:
    """What was shown of the run under way; None if that is not the whole of it."""
    shown: list[str] | None = []
    async with aclosing(control.follow(task)) as pieces:
        async for piece in pieces:
            await show(piece)
            if shown is not None:
                shown.append(piece.text)
            if piece.skipped or sum(map(len, shown or ())) > WHOLE:
                shown = None
    return None if shown is None else "".join(shown)


async def _unseen(control: Followed, task: str, newest: int, again: bool, shown: str) -> str:
    """What the history has of the run beyond that: it was too quick, or raised."""
    with suppress(SchedulerError):
        runs = await control.history(task, limit=LISTED)
        ours = [run for run in runs if run.id > newest and run.trigger is Trigger.FORCE]
        if ours and (run := ours[0 if again else -1]).printed:
            text = await control.output(run.id)
            return text[len(shown) :] if text.startswith(shown) else ""
    return ""
