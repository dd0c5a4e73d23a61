"""All citizens on one loop: owns those without an owner, attaches to the rest, follows the settings."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from scheduler.alerts.alerter import Alarms
from scheduler.config.loader import CitizenSettings, Settings, fingerprint, load
from scheduler.control.member import Member, attached, owned
from scheduler.control.offline import OfflineControl
from scheduler.core.ports import FleetOptions, FleetView
from scheduler.engine.event_bus import Subscribers, snapshots
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import (
    BadSettings,
    Managed,
    NotALoop,
    Owned,
    SchedulerError,
    UnknownCitizen,
    Unreadable,
)
from scheduler.executors import Executor
from scheduler.storage.history_writer import HistoryWriter
from scheduler.storage.lock import acquire, owner_of
from scheduler.storage.state_store import DiskStore
from scheduler.system.clock import Clock, SystemClock

log = logging.getLogger("experience.fleet")

CHECK_EVERY = 2.0  # seconds between two checks of settings, state files and the homes of others
CHECK_SHARE = 500  # a check of a thousand homes takes 13 ms; checks may take a five-hundredth of the time
BATCH = 50  # citizens added between two updates of the screen
DISK_THREADS = 4


class Fleet:
    """The citizens of one process, on the loop that called `start`."""

    def __init__(
        self, options: FleetOptions, on_home: Callable[[str, Path], None] = lambda name, home: None
    ) -> None:
        self.clock: Clock = SystemClock()
        self.members: dict[str, Member] = {}
        self.on_stop: Callable[[], None] | None = None  # ends this process, if it is a loop
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
        self._checking: asyncio.Task[None] | None = None
        self._check_now = asyncio.Event()
        self._reloaded: list[Callable[[], None]] = []
        self._gone: set[str] = set()  # citizens whose homes were removed while they ran

    # -------------------------------------------------------------- life

    async def start(self, *, dispatch: bool = True) -> None:
        """Read the settings and add every citizen; raises BadSettings or UnknownCitizen.

        Without `dispatch`, schedules start nothing.
        """
        self._dispatch = dispatch
        settings = await asyncio.to_thread(self._load, create=self._options.create)
        if settings.problems and self._options.strict:
            raise BadSettings(settings.problems)
        for name in self._options.only:
            if name not in settings.known:
                raise UnknownCitizen(name, settings.known)
        self._settings, self._problems = settings, settings.problems
        self.notify()
        for first in range(0, len(settings.citizens), BATCH):
            await asyncio.gather(*map(self._add, settings.citizens[first : first + BATCH]))
            self.notify()
        self._loading = False
        self.notify()
        self._checking = asyncio.create_task(self._keep_checking(), name="settings")
        self._checking.add_done_callback(_log_failure)

    async def stop(self, grace: float | None = None) -> None:
        """Stop every scheduler of this process at the same time, and release the homes."""
        if self._stopped:
            return
        self._stopped = True
        if self._checking:
            self._checking.cancel()
        await asyncio.gather(*(member.end(grace) for member in self.members.values()))
        await self._workers.close()
        await self._alarms.stop()
        await self._history_writer.close()
        self._disk.shutdown(wait=False)
        if isinstance(self.clock, SystemClock):
            self.clock.close()

    def stop_now(self) -> None:
        """Kill everything that still runs: the second request to stop."""
        for scheduler in self.schedulers():
            scheduler.stop_now()
        self._alarms.stop_now()

    def reload(self, done: Callable[[], None] = lambda: None) -> None:
        """Read the settings now rather than soon; `done` is called when they apply."""
        self._reloaded.append(done)
        self._check_now.set()

    async def take_over(self, name: str) -> None:
        """Own a citizen whose owner is gone; raises Owned while there is one."""
        if name not in self.members:
            raise UnknownCitizen(name, self.members)
        before = self.members[name]
        self.members[name] = await self._own(before.settings)
        await before.end()
        self.notify()

    def why_not_own(self, name: str) -> str:
        """Why it cannot be taken over, as far as is known without an attempt; from any thread."""
        member = self.members.get(name)
        if member is None:
            return f"{name} is not here any more"
        if isinstance(member.control, Scheduler):
            return f"{name} runs here already"
        if not self._options.own:
            return f"{name} is not run here: this monitor was started to own nothing"
        snapshot = member.control.snapshot()
        owner = snapshot.owner.removeprefix("attached, ")
        return f"{name} is owned by {owner}, which is running" if owner and not snapshot.stale else ""

    # -------------------------------------------------------------- state

    def schedulers(self) -> list[Scheduler]:
        return [m.control for m in self.members.values() if isinstance(m.control, Scheduler)]

    @property
    def named(self) -> bool:
        """Whether citizens were asked for by name."""
        return bool(self._options.only)

    def refusals(self) -> list[str]:
        """Why citizens are not owned here, one text each."""
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

    def notify(self) -> None:
        self._subscribers.notify()

    def watch(self) -> AsyncIterator[FleetView]:
        return snapshots(self.subscribe, self.view)

    # -------------------------------------------------------------- citizens come, change and go

    def _load(self, create: bool = False) -> Settings:
        """Create homes only at the start: one that disappears later was removed on purpose."""
        return load(config=self._options.config, only=self._options.only, create=create)

    async def _add(self, citizen: CitizenSettings) -> None:
        self._on_home(citizen.name, citizen.home)
        try:
            member = await self._own(citizen)
        except SchedulerError as refusal:
            # Without `own` nothing was refused, and a strict start by name ends with the same text.
            if self._options.own and not (self.named and self._options.strict):
                for line in str(refusal).splitlines():
                    log.warning(line)
            member = await attached(citizen, refusal, self.clock)
        self.members[citizen.name] = member

    async def _own(self, citizen: CitizenSettings) -> Member:
        if citizen.problems:
            raise BadSettings(citizen.problems)
        if not self._options.own:
            raise SchedulerError(f"{citizen.name}: not run here: this process was started to own nothing")
        as_root, service = self._options.own_as_root, self._options.service
        now = self.clock.now()
        ownership = await asyncio.to_thread(acquire, citizen.home, now, as_root=as_root, service=service)
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
            scheduler.add_listener(await self._alarms.listener(citizen))
            await scheduler.start(dispatch=self._dispatch)
        except SchedulerError:
            ownership.release()
            raise
        return await owned(citizen, scheduler, ownership, self._request_stop)

    def _request_stop(self) -> None:
        """A client of a socket asked this process to end."""
        pid, service = os.getpid(), self._options.service
        if service:
            raise Managed(f"pid {pid} is {service}.service; end it with systemctl stop {service}")
        if self.on_stop is None:
            raise NotALoop(f"pid {pid} is a monitor; press q there")
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

    # -------------------------------------------------------------- following the files

    async def _keep_checking(self) -> None:
        pause = CHECK_EVERY
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._check_now.wait(), pause)
            asked = self._check_now.is_set()
            self._check_now.clear()
            start = self.clock.elapsed()
            changed = await self._check_files(asked)
            took = 0.0 if changed else self.clock.elapsed() - start
            pause = max(CHECK_EVERY, CHECK_SHARE * took)

    async def _check_files(self, asked: bool) -> bool:
        """Compare the files with what is known and apply changes; gives whether there were any."""
        changed, edited, displaced = await asyncio.to_thread(self._differences)
        for scheduler in edited:
            scheduler.reload_if_edited()
        # Before the settings: they, or a handler that still runs, may create the folder again.
        for name in displaced:
            await self._release_if_gone(name)
        if changed or asked:
            await self._reload()
        # After the settings: the citizen may be removed although a handler created its folder again.
        for name in displaced:
            await self._reacquire(name)
        for member in list(self.members.values()):
            if isinstance(member.control, OfflineControl):
                await self._refresh_offline(member, member.control)
        return changed or asked or bool(edited or displaced)

    def _differences(self) -> tuple[bool, list[Scheduler], list[str]]:
        """Whether the settings changed, whose state file was edited, and whose lock is not in its place."""
        edited = [scheduler for scheduler in self.schedulers() if scheduler.file_differs()]
        members = list(self.members.items())
        displaced = [name for name, each in members if each.ownership and not each.ownership.in_place()]
        return fingerprint(self._settings) != self._settings.mark, edited, displaced

    async def _release_if_gone(self, name: str) -> None:
        home = self.members[name].settings.home
        if not await asyncio.to_thread(home.is_dir):
            reason = f"{home}: No such file or directory; it runs again when it is back"
            await self._release(name, Unreadable(reason))
            self._gone.add(name)

    async def _release(self, name: str, reason: SchedulerError) -> None:
        """The home is gone, or another process owns it: stop everything of the citizen here."""
        member = self.members[name]
        log.error(f"not run here any more: {reason}", extra={"citizen": name})
        await member.end(0)
        self._alarms.forget(name)
        self.members[name] = await attached(member.settings, reason, self.clock)
        self.notify()

    async def _reload(self) -> None:
        """Read the settings again and apply them."""
        waiting, self._reloaded = self._reloaded, []
        await self._apply(await asyncio.to_thread(self._load))
        for done in waiting:
            done()

    async def _reacquire(self, name: str) -> None:
        """The lock was removed: own the citizen again, unless another process does by now."""
        member = self.members.get(name)
        if member is None or member.ownership is None:
            return
        # Some file systems change the number of a file: the note of the owner decides.
        owner = await asyncio.to_thread(owner_of, member.settings.home)
        if owner and owner.pid == os.getpid():
            return
        reason = f"owned by pid {owner.pid}" if owner else "its lock was removed"
        await self._release(name, Owned(f"{name}: {reason}"))
        await self._add(member.settings)
        self.notify()

    async def _refresh_offline(self, member: Member, offline: OfflineControl) -> None:
        """Check whether the home is back, or an owner lets this process attach."""
        name = member.settings.name
        if name in self._gone and await asyncio.to_thread(member.settings.home.is_dir):
            self._gone.discard(name)
            await self._add(member.settings)
        else:
            await offline.refresh()
            if not offline.snapshot().owner:
                return
            self.members[name] = await attached(member.settings, offline.reason, self.clock)
        if not isinstance(self.members[name].control, OfflineControl):
            self.notify()

    async def _apply(self, settings: Settings) -> None:
        """Apply changed settings; those with errors only change the problems on screen."""
        self._problems = settings.problems
        if settings.problems:
            self._settings = replace(self._settings, mark=settings.mark, files=settings.files)
        else:
            await self._replace(settings)
        log.info("settings read", extra={"problems": len(settings.problems)})
        self.notify()

    async def _replace(self, settings: Settings) -> None:
        self._settings = settings
        wanted = {citizen.name: citizen for citizen in settings.citizens}
        for name in self.members.keys() - wanted.keys():
            await self.members[name].end()  # still a member: a stop of the fleet waits for it
            del self.members[name]
            self._alarms.forget(name)
        for name, citizen in wanted.items():
            member = self.members.get(name)
            if member is None or (isinstance(member.control, OfflineControl) and member.settings != citizen):
                await self._add(citizen)
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


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("changes of the settings are not followed any more", exc_info=error)
