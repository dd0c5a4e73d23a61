"""Requests from a command line, through a citizen's owner or, without an owner, under its lock."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

from scheduler.control.fleet import Fleet
from scheduler.control.member import LocalControl, Member
from scheduler.control.offline import OfflineControl
from scheduler.core.ports import FleetOptions
from scheduler.core.state import first_line
from scheduler.core.task import WAKE, Handler, Outcome
from scheduler.core.views import Event, OutputChunk, TaskView
from scheduler.errors import Owned, SchedulerError
from scheduler.process.startup import wanted_signals

COMPARED = 128 * 1024  # characters of output; longer output is not compared with the history

OnOutput = Callable[[OutputChunk], Awaitable[object]]


@asynccontextmanager
async def fleet_of(
    citizens: Collection[str],
    config: Path | None = None,
    *,
    as_root: bool = False,
    wakes: bool = False,
    interrupted: Callable[[], object] | None = None,
) -> AsyncIterator[Fleet]:
    """The fleet of these citizens (all if none is named); owns those without an owner, but runs nothing due.

    Ctrl+c calls `interrupted`, if given, and cancels the block; a second one ends at once what runs here.
    """
    fleet = Fleet(FleetOptions(config=config, only=citizens, wakes=wakes, own_as_root=as_root))
    if interrupted and wanted_signals("SIGINT"):
        _on_interrupt(fleet, interrupted)
    try:
        await fleet.start(dispatch=False)
        yield fleet
    finally:
        await fleet.stop()
        if interrupted:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


def _on_interrupt(fleet: Fleet, interrupted: Callable[[], object]) -> None:
    loop, waiting = asyncio.get_running_loop(), asyncio.current_task()
    assert waiting

    def first() -> None:
        loop.add_signal_handler(signal.SIGINT, fleet.stop_now)
        interrupted()
        waiting.cancel()

    loop.add_signal_handler(signal.SIGINT, first)


def control_of(member: Member) -> LocalControl:
    """The control of this citizen; raises the reason if there is none."""
    if isinstance(member.control, OfflineControl):
        raise member.control.refused or member.control.reason
    return member.control


@asynccontextmanager
async def control_for(
    citizen: str,
    config: Path | None = None,
    *,
    as_root: bool = False,
    handlers: Mapping[str, Handler] | None = None,
) -> AsyncIterator[LocalControl]:
    """One citizen's control for the length of the block; raises SchedulerError if there is none.

    `handlers` replace those in the settings, which requires that this process is the owner.
    """
    async with fleet_of((citizen,), config, as_root=as_root) as fleet:
        member = fleet.members[citizen]
        control = control_of(member)
        if handlers and member.refusal:
            raise Owned(member.refusal)
        for scheduler in fleet.schedulers():
            for task, handler in (handlers or {}).items():
                scheduler.register_handler(task, handler)
        yield control


# ------------------------------------------------------------------ waiting for the end


async def force_and_wait(
    control: LocalControl, task: str, *, again: bool = False, on_output: OnOutput | None = None
) -> TaskView:
    """Run the task now and return its view after that run. Raises what `force` raises.

    `on_output` receives the output as it comes, then the traceback.
    """
    receipt = await control.force(task, again=again)
    ended = asyncio.ensure_future(control.wait(task, receipt.run))
    try:
        shown = await _follow(control, task, on_output) if on_output else None
        view = await ended
    finally:
        ended.cancel()
    if on_output and shown is not None and (rest := await _unseen_output(control, view, shown)):
        await on_output(OutputChunk(rest))
    return view


def outcome_of(view: TaskView) -> str:
    """The outcome of a task's last run in one line."""
    first = first_line(view.error.text if view.error else view.text)
    if view.outcome is Outcome.STOPPED and first:  # "stopped by ct"
        return f"{view.name}: {first}"
    word = Outcome.FAILED if view.error else view.outcome or Outcome.FAILED
    return f"{view.name}: {word}" + (f": {first}" if first else "")


async def wake_and_wait(control: LocalControl) -> Event:
    """Wake the citizen now, or join the wake under way; return the event of its end."""
    before = control.snapshot().events
    last = before[-1].seq if before else 0
    await control.wake()
    async for snapshot in control.watch():
        if snapshot.stale:
            raise SchedulerError(f"{snapshot.citizen}: {snapshot.stale}")
        fresh = [event for event in snapshot.events if event.seq > last and event.task == WAKE]
        for event in fresh:
            if event.kind == "finished":
                return event
        if fresh and snapshot.wake.running_since is None:
            raise SchedulerError(f"{control.citizen}: the wake broke; see its log")
    raise AssertionError("a watched control has no end")


async def _follow(control: LocalControl, task: str, on_output: OnOutput) -> str | None:
    """Return the followed output; None if parts were skipped or it is too long to compare."""
    shown: list[str] = []
    whole = True
    async with aclosing(control.follow(task)) as chunks:
        async for chunk in chunks:
            await on_output(chunk)
            whole = whole and not chunk.skipped and sum(map(len, shown)) + len(chunk.text) <= COMPARED
            shown = [*shown, chunk.text] if whole else []
    return "".join(shown) if whole else None


async def _unseen_output(control: LocalControl, view: TaskView, shown: str) -> str:
    """Return the output not yet shown, from the history: of a quick run, or a traceback."""
    with suppress(SchedulerError):  # a task can run without a history
        for run in await control.history(view.name):
            if run.started == view.last_run and run.printed:
                text = await control.output(run.id)
                return text[len(shown) :] if text.startswith(shown) else ""
    return ""
