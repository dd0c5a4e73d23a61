"""Makes members of a fleet: citizens that this process owns, or that it shows through their owners."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from scheduler.alerts.alerter import Alarms
from scheduler.config.loader import CitizenSettings
from scheduler.control.member import Member, attached, owned, rules_of
from scheduler.control.wire.server import Process
from scheduler.core.ports import FleetOptions
from scheduler.engine.paid.shared_by_root import SharedByRoot
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import BadSettings, SchedulerError
from scheduler.executors.executor import Executor
from scheduler.ownership.coordinator import Coordinator
from scheduler.spending.account import AllCitizens
from scheduler.storage.freeze_file import RootFreezeWatch
from scheduler.system.clock import Clock


class MemberFactory:
    """Makes the members of one fleet; `role` says what this process is to those that it owns."""

    def __init__(
        self,
        options: FleetOptions,
        clock: Clock,
        workers: Executor,
        alarms: Alarms,
        coordinator: Coordinator,
        process: Process,
        role: Callable[[], str],
        *,
        dispatch: bool,
    ) -> None:
        self._options, self._clock, self._workers, self._alarms = options, clock, workers, alarms
        self._coordinator, self._process, self._role = coordinator, process, role
        self._dispatch = dispatch
        self._shared: dict[Path, SharedByRoot] = {}
        self.freezes: dict[Path, RootFreezeWatch] = {}  # by root of the citizens that are owned here
        self._sharing = asyncio.Lock()

    async def own(self, citizen: CitizenSettings) -> Member:
        if citizen.problems:
            raise BadSettings(citizen.problems)
        if not self._options.own:
            raise SchedulerError(f"{citizen.name}: not run here: this process was started to own nothing")
        claim = await self._coordinator.acquire(citizen, self._role())
        async with contextlib.AsyncExitStack() as given_up:
            given_up.push_async_callback(claim.release)
            scheduler = Scheduler(
                citizen.name,
                citizen.home,
                citizen.tasks,
                store=claim.store,
                clock=self._clock,
                workers=self._workers,
                rules=rules_of(citizen, self._options),
                recorder=claim.recorder,
                shared=await self._shared_by_root(citizen.home.parent),
                carrier=claim.carrier,
                copies=claim.copies,
            )
            claim.counts(scheduler.handlers_in_process)
            scheduler.add_listener(await self._alarms.listener(citizen))
            await scheduler.start(dispatch=self._dispatch)
            given_up.push_async_callback(scheduler.stop, 0)
            member = await owned(citizen, scheduler, claim, self._process, self._workers.origin)
            given_up.pop_all()
        return member

    async def attached(self, citizen: CitizenSettings, reason: SchedulerError) -> Member:
        """Return the citizen through its owner on any machine, or through its files."""
        return await attached(citizen, reason, self._clock, self._coordinator.remote(citizen))

    async def _shared_by_root(self, root: Path) -> SharedByRoot:
        """What the citizens of this root share in this process."""
        async with self._sharing:
            if root not in self._shared:
                outages = self._coordinator.outages(root)
                self.freezes[root] = await asyncio.to_thread(RootFreezeWatch, root)
                with contextlib.suppress(SchedulerError):  # they are read when the database answers
                    await asyncio.to_thread(outages.refresh)
                self._shared[root] = SharedByRoot(AllCitizens(root), outages)
        return self._shared[root]
