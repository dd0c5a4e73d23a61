"""All citizens on one loop: owns those that nobody owns, looks at the rest, follows the settings."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from scheduler.alerts.alarms import Alarms
from scheduler.config.loader import CitizenSettings, Settings, fingerprint, load
from scheduler.control.look import look_at
from scheduler.control.member import Member, attached, owned
from scheduler.control.offline import OfflineControl
from scheduler.core.ports import FleetOptions, FleetView
from scheduler.core.views import Snapshot
from scheduler.engine.event_bus import Subscribers
from scheduler.engine.scheduler import Scheduler, SchedulerOptions
from scheduler.errors import (
    BadSettings,
    Managed,
    NotALoop,
    NotOurs,
    Owned,
    SchedulerError,
    UnknownCitizen,
    Unreadable,
)
from scheduler.executors import Executor
from scheduler.storage.history_writer import HistoryWriter
from scheduler.storage.lock import Ownership, acquire, owner_of
from scheduler.storage.state_store import DiskStore
from scheduler.system.clock import Clock, SystemClock

log = logging.getLogger("experience.fleet")

LOOK_EVERY = 2.0  # seconds between two looks at settings, state files and homes of others
LOOK_SHARE = 500  # a look at a thousand homes takes 13 ms: it may cost a five-hundredth of the time
OWNER_GONE = "its owner is gone; open the monitor again to take it over"
AT_ONCE = 50  # citizens brought in between two notices to the screen
DISK_THREADS = 4


class Fleet:
    """The citizens of one process, on the loop that called `start`."""

    def __init__(
        self, options: FleetOptions, on_home: Callable[[str, Path], None] = lambda name, home: None
    ) -> None:
        self.clock: Clock = SystemClock()
        self.members: dict[str, Member] = {}
        self.on_stop: Callable[[], None] | None = None  # ends this process, if it is one that may be ended
        self._options, self._on_home = options, on_home
        self._settings = Settings(root=Path())
        self._problems: tuple[str, ...] = ()
        self._workers = Executor()
        self._alarms = Alarms()
        self._disk = ThreadPoolExecutor(DISK_THREADS, "disk")
        self._history_writer = HistoryWriter()
        self._subscribers = Subscribers()
        self._loading = self._dispatch = True
        self._stopped = False
        self._follower: asyncio.Task[None] | None = None
        self._look_now = asyncio.Event()
        self._reloaded: list[Callable[[], None]] = []
        self._gone: set[str] = set()  # citizens whose homes went away while they ran

    # -------------------------------------------------------------- life

    async def start(self, *, dispatch: bool = True) -> None:
        """Read the settings and bring every citizen in; raises BadSettings or UnknownCitizen.

        Without `dispatch` nothing runs by itself.
        """
        self._dispatch = dispatch
        settings = await asyncio.to_thread(self._load, create=self._options.create)
        if settings.problems and self._options.strict:
            raise BadSettings(settings.problems)
        for name in self._options.only:
            if name not in settings.known:
                raise UnknownCitizen(name, settings.known)
        self._settings, self._problems = settings, settings.problems
        self.tell()
        for first in range(0, len(settings.citizens), AT_ONCE):
            await asyncio.gather(*map(self._bring_in, settings.citizens[first : first + AT_ONCE]))
            self.tell()
        self._loading = False
        self.tell()
        self._follower = asyncio.create_task(self._follow(), name="settings")
        self._follower.add_done_callback(_never_silent)

    async def stop(self, grace: float | None = None) -> None:
        """End every scheduler of ours, all at the same time, and give the homes back."""
        if self._stopped:
            return
        self._stopped = True
        if self._follower:
            self._follower.cancel()
        await asyncio.gather(*(member.end(grace) for member in self.members.values()))
        await self._workers.close()
        await self._alarms.stop()
        await self._history_writer.close()
        self._disk.shutdown(wait=False)
        if isinstance(self.clock, SystemClock):
            self.clock.close()

    def quiet_for(self) -> float:
        """Seconds until something is due in any citizen that runs here."""
        return self.clock.quiet_for() if isinstance(self.clock, SystemClock) else 0.0

    def stop_now(self) -> None:
        """Asked to stop a second time: whatever still runs ends at once."""
        for scheduler in self.schedulers():
            scheduler.stop_now()
        self._alarms.stop_now()

    def reload(self, done: Callable[[], None] = lambda: None) -> None:
        """Look at the settings now rather than soon; `done` is called when they have been taken up."""
        self._reloaded.append(done)
        self._look_now.set()

    async def take_over(self, name: str) -> None:
        """Own a citizen whose owner has gone; raises Owned while there is one."""
        if name not in self.members:
            raise UnknownCitizen(name, self.members)
        before = self.members[name]
        self.members[name] = await self._own(before.settings)
        await before.end()
        self.tell()

    def why_not_own(self, name: str) -> str:
        """Why it cannot be taken over, as far as that is known without trying; from any thread."""
        member = self.members.get(name)
        if member is None:
            return f"{name} is not here any more"
        if isinstance(member.control, Scheduler):
            return f"{name} runs here already"
        if not self._options.own:
            return f"{name} is only looked at: this monitor owns nothing, as asked for"
        snapshot = member.control.snapshot()
        owner = snapshot.owner.removeprefix("attached, ")
        return f"{name} is owned by {owner}, which is there" if owner and not snapshot.stale else ""

    # -------------------------------------------------------------- to look at

    def schedulers(self) -> list[Scheduler]:
        return [m.control for m in self.members.values() if isinstance(m.control, Scheduler)]

    @property
    def named(self) -> bool:
        """Whether certain citizens were asked for."""
        return bool(self._options.only)

    def refusals(self) -> list[str]:
        """Why the citizens that are not ours are not, a line each."""
        return [member.refusal for member in self.members.values() if member.refusal]

    def view(self) -> FleetView:
        """The fleet at this moment."""
        controls = tuple(self.members[name].control for name in sorted(self.members))
        settings, problems = self._settings, (*self._problems, *self._settings.monitor.problems)
        return FleetView(
            controls, problems, str(settings.root), self._loading, settings.monitor, settings.file
        )

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, on this loop, when citizens come or go; calling the result ends that."""
        return self._subscribers.add(callback)

    def tell(self) -> None:
        self._subscribers.tell()

    async def watch(self) -> AsyncIterator[FleetView]:
        changed = asyncio.Event()
        forget = self.subscribe(changed.set)
        try:
            while True:
                yield self.view()
                await changed.wait()
                changed.clear()
        finally:
            forget()

    # -------------------------------------------------------------- citizens come, change and go

    def _load(self, create: bool = False) -> Settings:
        """A home is only made at the start: one that goes away later was taken away by somebody."""
        return load(config=self._options.config, only=self._options.only, create=create)

    async def _bring_in(self, citizen: CitizenSettings) -> None:
        self._on_home(citizen.name, citizen.home)
        try:
            member = await self._own(citizen)
        except SchedulerError as refusal:
            # Who only looks is not refused anything; and what ends the call is said as its error.
            if self._options.own and not (self.named and self._options.strict):
                for line in str(refusal).splitlines():
                    log.warning(line)
            member = await self._attach(citizen, refusal)
        self.members[citizen.name] = member

    async def _attach(self, citizen: CitizenSettings, refusal: SchedulerError) -> Member:
        return await attached(citizen, refusal, partial(self._look_at, citizen, refusal), self.clock)

    async def _own(self, citizen: CitizenSettings) -> Member:
        if citizen.problems:
            raise BadSettings(citizen.problems)
        if not self._options.own:
            raise SchedulerError(f"{citizen.name}: only looked at, as asked for")
        ownership = await self._lock(citizen)
        scheduler = Scheduler(
            citizen.name,
            citizen.home,
            citizen.tasks,
            store=DiskStore(citizen.home, self.clock, self._disk),
            clock=self.clock,
            workers=self._workers,
            rules=self._rules(citizen),
            recorder=self._history_writer.of(citizen.home, citizen.history),
        )
        try:
            scheduler.tell(await self._alarms.listener(citizen))
            await scheduler.start(dispatch=self._dispatch)
        except SchedulerError:
            ownership.release()
            raise
        return await owned(citizen, scheduler, ownership, self._asked_to_stop)

    async def _lock(self, citizen: CitizenSettings) -> Ownership:
        as_root, service = self._options.own_as_root, self._options.service
        now = self.clock.now()
        return await asyncio.to_thread(acquire, citizen.home, now, as_root=as_root, service=service)

    def _asked_to_stop(self) -> None:
        """Somebody wants this process to end, through a socket."""
        pid, service = os.getpid(), self._options.service
        if service:
            raise Managed(f"pid {pid} is {service}.service; end it with systemctl stop {service}")
        if self.on_stop is None:
            raise NotALoop(f"pid {pid} is no loop; close a monitor with q")
        self.on_stop()

    def _rules(self, citizen: CitizenSettings) -> SchedulerOptions:
        wake = (
            citizen.wake
            if self._options.interval is None
            else replace(citizen.wake, every=self._options.interval, cron=None)
        )
        return SchedulerOptions(
            workers=citizen.workers,
            grace=citizen.grace,
            secrets=citizen.secrets,
            wake=wake if self._options.wakes else None,
            background=self._options.background,
            llm=citizen.llm,
            history=citizen.history,
        )

    def _look_at(self, citizen: CitizenSettings, refusal: SchedulerError) -> Snapshot:
        snapshot = look_at(
            citizen.name, citizen.home, citizen.tasks, citizen.wake, self.clock.now(), citizen.problems
        )
        if snapshot.owner:
            return snapshot
        gone = isinstance(refusal, Owned) and not isinstance(refusal, NotOurs | Managed)
        return replace(snapshot, stale=OWNER_GONE if gone else str(refusal))

    # -------------------------------------------------------------- following the files

    async def _follow(self) -> None:
        pause = LOOK_EVERY
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look_now.wait(), pause)
            asked = self._look_now.is_set()
            self._look_now.clear()
            began = self.clock.elapsed()
            await self._look(asked)
            pause = max(LOOK_EVERY, LOOK_SHARE * (self.clock.elapsed() - began))

    async def _look(self, asked: bool) -> None:
        changed, touched, displaced, gone = await asyncio.to_thread(self._differences)
        for scheduler in touched:
            scheduler.reload_if_edited()
        for (
            name
        ) in gone:  # at once: a handler that still runs may make the folder anew, and so may the settings
            home = self.members[name].settings.home
            reason = Unreadable(f"{home}: No such file or directory; it is run again when it is back")
            await self._release(name, self.members[name], reason)
        if changed or asked:
            waiting, self._reloaded = self._reloaded, []
            await self._apply(await asyncio.to_thread(self._load))
            for done in waiting:
                done()
        for (
            name
        ) in displaced:  # after that: it may be no citizen any more, though a handler made its folder anew
            await self._reacquire(name)
        for name in list(self._gone):
            await self._retry_home(name)
        for name, member in list(self.members.items()):
            if isinstance(member.control, OfflineControl):
                await self._refresh_offline(name, member, member.control)

    async def _refresh_offline(self, name: str, member: Member, onlooker: OfflineControl) -> None:
        """Somebody may own the citizen by now, and let us in."""
        await onlooker.refresh()
        if onlooker.snapshot().owner:
            attached = await self._attach(member.settings, SchedulerError(member.refusal))
            if not isinstance(attached.control, OfflineControl):
                self.members[name] = attached
                self.tell()

    def _differences(self) -> tuple[bool, list[Scheduler], list[str], list[str]]:
        touched = [scheduler for scheduler in self.schedulers() if scheduler.file_differs()]
        displaced = [name for name, member in list(self.members.items()) if not member.in_place()]
        gone = [name for name in displaced if not self.members[name].settings.home.is_dir()]
        there = [name for name in displaced if name not in gone]
        return fingerprint(self._settings) != self._settings.mark, touched, there, gone

    async def _reacquire(self, name: str) -> None:
        """Somebody removed the lock or the socket of a citizen of ours: put them back, or let it go."""
        member = self.members.get(name)
        if member is None or member.ownership is None:
            return
        ownership = member.ownership
        try:
            if not ownership.in_place():
                ownership = await self._lock(member.settings)
                log.warning("its lock was removed, and is taken again", extra={"citizen": name})
        except SchedulerError as reason:
            owner = await asyncio.to_thread(owner_of, member.settings.home)
            if type(reason) is Owned and owner and owner.pid == os.getpid():
                ownership.settle()
            else:
                await self._release(name, member, reason)
        else:
            await member.keep(ownership)

    async def _release(self, name: str, member: Member, reason: SchedulerError) -> None:
        """The home is gone, or another process owns it by now: nothing of it may go on here."""
        log.error(f"not run here any more: {reason}", extra={"citizen": name})
        await member.end(0)
        self._alarms.forget(name)
        self.members[name] = await self._attach(member.settings, reason)
        if isinstance(reason, Unreadable):
            self._gone.add(name)
        self.tell()

    async def _retry_home(self, name: str) -> None:
        """A home that was gone may be there again."""
        member = self.members.get(name)
        if member is None or await asyncio.to_thread(member.settings.home.is_dir):
            self._gone.discard(name)
            if member and isinstance(member.control, OfflineControl):
                await self._bring_in(member.settings)
                self.tell()

    async def _apply(self, settings: Settings) -> None:
        """Take changed settings up; broken ones change nothing and are shown."""
        self._problems = settings.problems
        if settings.problems:
            self._settings = replace(self._settings, mark=settings.mark, files=settings.files)
        else:
            await self._replace(settings)
        log.info("settings read", extra={"problems": len(settings.problems)})
        self.tell()

    async def _replace(self, settings: Settings) -> None:
        self._settings = settings
        wanted = {citizen.name: citizen for citizen in settings.citizens}
        for name in self.members.keys() - wanted.keys():
            await self.members[name].end()  # a member until then: who stops the fleet meanwhile waits for it
            del self.members[name]
            self._alarms.forget(name)
        for name, citizen in wanted.items():
            member = self.members.get(name)
            if member is None or (isinstance(member.control, OfflineControl) and member.settings != citizen):
                await self._bring_in(citizen)
            elif member.settings != citizen:
                self._change(member, citizen)
                await member.share()
        self.members = {name: self.members[name] for name in wanted}

    def _change(self, member: Member, citizen: CitizenSettings) -> None:
        if isinstance(member.control, Scheduler):
            if citizen.problems:
                member.control.set_problems(citizen.problems)
                member.settings = replace(member.settings, problems=citizen.problems)
                return
            self._alarms.change(citizen)
            member.control.set_tasks(citizen.tasks, self._rules(citizen))
        member.settings = citizen


def _never_silent(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("the settings are not followed any more", exc_info=error)
