"""One citizen in a fleet: owned here, attached to its owner, or only looked at."""

import asyncio
import errno
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from scheduler.config.loader import CitizenSettings
from scheduler.control.client import RemoteControl
from scheduler.control.look import explained, foreseen
from scheduler.control.offline import OfflineControl
from scheduler.control.server import Server
from scheduler.core.details import TaskDetails
from scheduler.core.ports import Control
from scheduler.core.views import Snapshot
from scheduler.core.window import Slots, TimeGrid
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import Disconnected, SchedulerError
from scheduler.storage.lock import Ownership
from scheduler.system.clock import Clock
from scheduler.system.unix_socket import closed_to, door, shared_path, socket_path

log = logging.getLogger("experience.fleet")


class Followed(Control, Protocol):
    """A Control on the same loop, whose newest snapshot is at hand."""

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]: ...

    def snapshot(self) -> Snapshot: ...


@dataclass(slots=True)
class Member:
    """A citizen and the control of it; `refusal` says why it is not owned here."""

    settings: CitizenSettings
    control: Followed
    refusal: str = ""
    ownership: Ownership | None = None
    server: Server | None = None

    async def share(self) -> None:
        """Members of `socket_group` are let in from now on; what keeps them out is shown."""
        if self.server and isinstance(self.control, Scheduler):
            self.control.set_notices(await _shared(self.server, self.settings))

    def in_place(self) -> bool:
        """Whether what keeps others out and lets them attach is still there; blocks, for any thread."""
        locked = self.ownership is None or self.ownership.in_place()
        return locked and (self.server is None or self.server.in_place())

    async def keep(self, ownership: Ownership) -> None:
        """Go on under this lock: the one before is not where others look for it any more."""
        before, self.ownership = self.ownership, ownership
        if before and before is not ownership:
            await asyncio.to_thread(before.release)
        if self.server:
            try:
                await self.server.reopen()
            except OSError as error:
                log.warning(f"{self.settings.name}: no other screen can attach: {error}")

    async def end(self, grace: float | None = None) -> None:
        """Nothing of this citizen goes on in this process."""
        if isinstance(self.control, Scheduler):
            await self.control.stop(grace)
        if isinstance(self.control, RemoteControl):
            await self.control.stop()
        if self.server:
            await self.server.close()
        if self.ownership:
            await asyncio.to_thread(self.ownership.release)


async def owned(
    settings: CitizenSettings, scheduler: Scheduler, ownership: Ownership, stop: Callable[[], None]
) -> Member:
    """The citizen of a scheduler that has started, open to other screens as far as its home allows.

    `stop` ends this process, or raises why it does not.
    """
    server = Server(scheduler, socket_path(settings.home), stop)
    try:
        await server.open()
    except OSError as error:
        log.warning(f"{settings.name}: no other screen can attach: {error}")
        return Member(settings, scheduler, "", ownership)
    member = Member(settings, scheduler, "", ownership, server)
    await member.share()
    return member


async def _shared(server: Server, settings: CitizenSettings) -> tuple[str, ...]:
    """Let the members of `socket_group` in; what keeps them out, in a line."""
    group, path = settings.socket_group, shared_path(settings.home)
    try:
        if group is None:
            await server.share(path, None)
            return ()
        await server.share(path, group.number)
        shut = closed_to(group.number, settings.home)
    except OSError as error:
        stranger = error.errno == errno.EPERM  # what chown says to who is no member
        why = f"this user is no member of {group}: usermod -aG {group} USER" if stranger else str(error)
        return (f"socket_group: members of {group} cannot attach: {why}",)
    if shut is None:
        return ()
    mend = f"chgrp {group} {shut}; chmod g+x {shut}"
    return (f"socket_group: members of {group} cannot attach: {shut} is closed to them: {mend}",)


async def attached(
    settings: CitizenSettings, refusal: SchedulerError, look: Callable[[], Snapshot], clock: Clock
) -> Member:
    """The citizen of another owner, through its socket; through its files where nobody answers."""
    try:
        remote = RemoteControl(settings.name, door(settings.home), clock)
        await remote.start()
    except (Disconnected, OSError):

        def explain(task: str) -> TaskDetails:
            secrets, now = settings.secrets.values(), clock.now()
            return explained(settings.name, settings.home, settings.tasks, secrets, task, now)

        async def foresee(tasks: Collection[str], window: TimeGrid) -> Slots:
            now = clock.now()
            return await foreseen(settings.name, settings.home, settings.tasks, tasks, now, window)

        onlooker = OfflineControl(settings.name, settings.home, look, refusal, explain, foresee)
        await onlooker.refresh()
        return Member(settings, onlooker, onlooker.refusal)
    return Member(settings, remote, str(refusal))
