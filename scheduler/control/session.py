"""Verbs for citizens from a command line: through their owners where they have some, else under the lock."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from scheduler.control.fleet import Fleet
from scheduler.control.member import Followed, Member
from scheduler.control.offline import OfflineControl
from scheduler.core.ports import FleetOptions
from scheduler.core.task import Handler
from scheduler.errors import Owned


@asynccontextmanager
async def fleet_of(
    citizens: Collection[str],
    config: Path | None = None,
    *,
    as_root: bool = False,
    wakes: bool = False,
    interrupted: Callable[[], object] | None = None,
) -> AsyncIterator[Fleet]:
    """These citizens (all, if none is named), those that nobody owns under the lock; nothing runs by itself.

    With `interrupted`, ctrl+c calls that and cancels the block; pressed again it ends at once what runs here.
    """
    fleet = Fleet(FleetOptions(config=config, only=citizens, wakes=wakes, own_as_root=as_root))
    if interrupted:
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


def control_of(member: Member) -> Followed:
    """What steers this citizen; raises why nothing does."""
    if isinstance(member.control, OfflineControl):
        raise member.control.reason
    return member.control


@asynccontextmanager
async def steering(
    citizen: str,
    config: Path | None = None,
    *,
    as_root: bool = False,
    handlers: Mapping[str, Handler] | None = None,
) -> AsyncIterator[Followed]:
    """One citizen's control, for as long as the block lasts; raises SchedulerError if there is none.

    `handlers` replace those of the settings, which only works where this process is the owner.
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
