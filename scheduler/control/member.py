"""One citizen of a fleet: owned here, attached to its owner, or read from its files."""

import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Protocol

from scheduler.config.loader import CitizenSettings
from scheduler.control.machines import MachineControl
from scheduler.control.offline import OfflineControl
from scheduler.control.wire.asker import OriginOf
from scheduler.control.wire.client import RemoteControl, require_answer
from scheduler.control.wire.group_socket import share
from scheduler.control.wire.server import Process, Served, Server
from scheduler.core.ports import Control, FleetOptions
from scheduler.core.schedules.schedule import Every
from scheduler.core.secrets import Masks
from scheduler.core.views import TaskView
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import DatabaseAway, Disconnected, Refused, SchedulerError
from scheduler.ownership.coordinator import Claim, Remote
from scheduler.system.clock import Clock
from scheduler.system.unix_socket import client_socket, socket_path

log = logging.getLogger("experience.fleet")


class LocalControl(Control, Served, Protocol):
    """A Control on this loop that holds its newest snapshot."""

    async def wait(self, task: str, run: int) -> TaskView: ...


@dataclass(slots=True)
class Member:
    """A citizen and its control; `refusal` says why this process does not own it."""

    settings: CitizenSettings
    control: LocalControl
    refusal: str = ""
    claim: Claim | None = None
    server: Server | None = None

    @property
    def owner(self) -> str:
        """The process that runs it: `here`, `pid N`, or empty; for any thread."""
        if isinstance(self.control, Scheduler):  # its snapshots are made on its own loop
            return "here"
        snapshot = self.control.snapshot()
        return "" if snapshot.stale else snapshot.owner.removeprefix("attached, ")

    def running(self) -> list[str]:
        """Its tasks that this process runs now; for any thread."""
        return self.control.running() if isinstance(self.control, Scheduler) else []

    async def share(self) -> None:
        """Let the members of `socket_group` connect; notices say what prevents it, or tasks from running."""
        if self.server and isinstance(self.control, Scheduler):
            unshared = await share(self.server, self.settings)
            self.control.set_notices((*self.settings.refused, *unshared))

    async def end(self, grace: float | None = None) -> None:
        """Stop everything that this process runs of the citizen."""
        if isinstance(self.control, Scheduler):
            await self.control.stop(grace)
        if isinstance(self.control, RemoteControl):
            await self.control.stop()
        if self.server:
            await self.server.close()
        if self.claim:
            await self.claim.release()


def rules_of(citizen: CitizenSettings, options: FleetOptions) -> SchedulerOptions:
    """The options of the citizen's scheduler in a process with these options."""
    every = options.interval
    return SchedulerOptions(
        workers=citizen.workers,
        grace=citizen.grace,
        secrets=citizen.secrets,
        masks=Masks(citizen.hidden),
        wake=citizen.wake if every is None else replace(citizen.wake, schedule=Every(every)),
        wakes=options.wakes,
        background=options.background,
        llm=citizen.llm,
        history=citizen.history,
        spending=citizen.spending,
        refusals=citizen.refusals,
    )


async def owned(
    settings: CitizenSettings, scheduler: Scheduler, claim: Claim, process: Process, origin: OriginOf
) -> Member:
    """Return the citizen with its running scheduler, and a socket for others if its home allows one.

    `origin` finds the run that a client came from.
    """
    server = Server(scheduler, socket_path(settings.home), settings.home, process, origin)
    try:
        await server.open()
    except OSError as error:
        log.warning(f"{settings.name}: no other screen can attach: {error}")
        return Member(settings, scheduler, "", claim)
    member = Member(settings, scheduler, "", claim, server)
    async with AsyncExitStack() as given_up:
        given_up.push_async_callback(server.close)
        await member.share()
        given_up.pop_all()
    return member


async def attached(
    settings: CitizenSettings, reason: SchedulerError, clock: Clock, elsewhere: Remote | None = None
) -> Member:
    """Return the citizen through its owner's socket, or through its files if nothing answers.

    `elsewhere` gives access to its owner on another machine.
    """
    try:
        await require_answer(settings.home)
        remote = RemoteControl(client_socket(settings.name, settings.home), clock)
        try:
            await remote.start()
        except Disconnected:
            if elsewhere is None:
                raise
            remote = MachineControl(settings, elsewhere, clock)
            await remote.start()
    except (Disconnected, DatabaseAway, OSError) as error:
        offline = OfflineControl(settings, clock, reason, error if isinstance(error, Refused) else None)
        await offline.refresh()
        return Member(settings, offline, str(reason))
    return Member(settings, remote, str(reason))
