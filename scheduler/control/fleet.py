"""All citizens on one loop: owns those without an owner, attaches to the rest, follows the settings."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from scheduler.alerts.alerter import Alarms
from scheduler.config.loader import CitizenSettings, Settings, load, taken_up
from scheduler.control.coordinator import coordinator_of
from scheduler.control.following.displaced import DisplacedHomes
from scheduler.control.following.regular_checks import RegularChecks, pause_after
from scheduler.control.following.settings_watch import AGAIN, SettingsWatch
from scheduler.control.freezing import Answer, Freezer, Owner
from scheduler.control.home_snapshot import read_snapshot
from scheduler.control.member import Member, attached, rules_of
from scheduler.control.member_factory import MemberFactory
from scheduler.control.moves import Moves
from scheduler.control.offline import OfflineControl
from scheduler.control.wire.client import RemoteControl
from scheduler.control.wire.server import Process
from scheduler.core.machines import Cluster
from scheduler.core.ports import FleetOptions, FleetView
from scheduler.core.secrets import Masks
from scheduler.core.views import Snapshot
from scheduler.core.wording.text import first_few
from scheduler.engine.event_bus import Subscribers
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import (
    BadSettings,
    DatabaseAway,
    Managed,
    NotALoop,
    Owned,
    SchedulerError,
    UnknownCitizen,
    Unreadable,
)
from scheduler.executors.executor import Executor
from scheduler.ownership.coordinator import Coordinator, LocalCoordinator
from scheduler.ownership.stream import RemoteStream
from scheduler.storage.lock import LOOP, MONITOR, check_free
from scheduler.system.clock import Clock, SystemClock
from scheduler.system.hanging_disks import hanging
from scheduler.system.homes import has_marker

log = logging.getLogger("experience.fleet")

FREE_EVERY = 1.0  # seconds between two checks for citizens whose machine is silent
OnHome = Callable[[str, Path, Masks], None]
BATCH = 50  # citizens added between two updates of the screen


class Fleet:
    """The citizens of one process; everything runs on the loop that called `start`."""

    _factory: MemberFactory  # from `start` on

    def __init__(self, options: FleetOptions, on_home: OnHome = lambda name, home, masks: None) -> None:
        self.clock: Clock = SystemClock()
        self.members: dict[str, Member] = {}
        self._offline: set[str] = set()  # members that nobody runs, read from their files
        self.on_stop: Callable[[], None] | None = None  # ends this process; set in a loop
        self.closed = False  # a monitor whose screen is gone, while its last runs end
        self.on_settings: Callable[[Settings], None] = lambda settings: None  # read, nothing runs yet
        self.on_hand_over: Callable[[], object] | None = None  # passes everything to a loop; set in a monitor
        self._options, self._on_home = options, on_home
        self._settings = Settings(root=Path())
        self._wanted: dict[str, CitizenSettings] = {}
        self._problems: tuple[str, ...] = ()
        self._workers = Executor()
        self._alarms = Alarms()
        self._local = LocalCoordinator(options, self.clock)
        self._coordinator: Coordinator = self._local
        self._subscribers = Subscribers()
        self._cluster: Cluster | None = None
        self._loading = True
        self._stopped = False
        self._watch = SettingsWatch(self._load, self.clock.elapsed)
        self._checks, self._moves = RegularChecks(), Moves()
        self._settings_now, self._homes_now = asyncio.Event(), asyncio.Event()
        self._reloaded: list[Callable[[], None]] = []
        self._gone: set[str] = set()  # citizens whose homes were removed or emptied while they ran
        self._displaced = DisplacedHomes(self.clock.elapsed)

    # -------------------------------------------------------------- life

    async def start(self, *, dispatch: bool = True) -> None:
        """Read the settings and add every citizen; raises BadSettings or UnknownCitizen.

        Without `dispatch`, no schedule starts anything.
        """
        settings = await asyncio.to_thread(self._load, create=self._options.create)
        if settings.problems and self._options.strict:
            raise BadSettings(settings.problems)
        settings.chosen(self._options.only)
        self._settings, self._problems = settings, settings.problems
        self._coordinator = coordinator_of(
            settings.engine, settings.root, self._local, self._homes_now.set, self._let_go, self._serve_remote
        )
        process = Process(self._request_stop, self._request_hand_over)
        parts = self._options, self.clock, self._workers, self._alarms, self._coordinator
        self._factory = MemberFactory(*parts, process, self._role, dispatch=dispatch)
        self._wanted = {citizen.name: citizen for citizen in settings.citizens}
        self.on_settings(settings)
        self._workers.begin()
        self.notify()
        for first in range(0, len(settings.citizens), BATCH):
            await asyncio.gather(*map(self._add, settings.citizens[first : first + BATCH]))
            self.notify()
        self._loading = False
        self.notify()
        self._checks.begin(self._check_settings, self._settings_now)
        self._checks.begin(self._check_homes, self._homes_now)
        self._checks.begin(self._check_owners)
        if settings.engine and self._options.own:
            self._checks.begin(self._check_machines, first=FREE_EVERY)
        if settings.engine:
            self._checks.begin(self._check_cluster)

    async def stop(self, grace: float | None = None) -> None:
        """Stop every scheduler of this process at the same time, and release the homes."""
        if self._stopped:
            return
        self._stopped = True
        self._checks.cancel()
        await self._moves.end(self._is_owned)
        await asyncio.gather(*(member.end(grace) for member in self.members.values()))
        await self._workers.close()
        await self._alarms.stop()
        await self._coordinator.close()
        if isinstance(self.clock, SystemClock):
            self.clock.close()

    def _is_owned(self, name: str) -> bool:
        return name in self.members and isinstance(self.members[name].control, Scheduler)

    def stop_now(self) -> None:
        """Kill everything that still runs, at the second request to stop."""
        for scheduler in self.schedulers():
            scheduler.stop_now()
        self._alarms.stop_now()

    def reload(self, done: Callable[[], None] = lambda: None) -> None:
        """Read the settings now; `done` is called when they apply."""
        self._reloaded.append(done)
        self._settings_now.set()
        self._homes_now.set()

    async def take_over(self, name: str) -> None:
        """Own a citizen whose owner has ended; raises Owned while it has one."""
        self._member(name)
        await self._moves.wait(name)
        await self._replace(self.members[name])

    async def look(self, name: str) -> Snapshot:
        """Return the citizen as its files show it; raises Owned if it may not be owned here."""
        settings, now = self._member(name).settings, self.clock.now()

        def read() -> Snapshot:
            check_free(settings.home, as_root=self._options.own_as_root, shared=True)
            return read_snapshot(settings, now)

        return await asyncio.to_thread(read)

    def _member(self, name: str) -> Member:
        """The citizen of this name; raises UnknownCitizen."""
        if name not in self.members:
            raise UnknownCitizen(name, self.members)
        return self.members[name]

    async def _replace(self, before: Member) -> None:
        """Own a citizen that was only shown until now."""
        self._set_member(before.settings.name, await self._factory.own(before.settings))
        await before.end()
        self.notify()

    async def let_go(self, name: str, pid: int, taken_up: Callable[[str], Awaitable[bool]]) -> bool:
        """Release a citizen between two runs and attach to its next owner; False if it stays here."""

        async def go() -> None:
            member = self.members[name]
            assert isinstance(member.control, Scheduler)
            await member.control.finish()
            await member.end()
            self._alarms.forget(name)
            if await taken_up(name):
                reason = Owned(f"{name} is owned by pid {pid}")
                self._set_member(name, await self._factory.attached(member.settings, reason))
            else:
                await self._add(member.settings)
            self.notify()

        while name in self._moves:
            await self._moves.wait(name)
        self._move(name, go())
        await self._moves.wait(name)
        return not self._is_owned(name)

    def spare(self, pid: int) -> None:
        """Note that this child is not a run of a task, so that it is not ended with one."""
        self._workers.spare(pid)

    async def freeze(
        self, names: Collection[str], *, until: float | None, why: str, stop_runs: bool = False
    ) -> None:
        """Start nothing of these citizens, or of the whole root if none is named; raises SchedulerError."""
        answers = await self._freezer().freeze(names, lambda zone: until, why, stop_runs=stop_runs)
        _raise_first(answers)

    async def thaw(self, names: Collection[str]) -> None:
        """Lift the freezes of these citizens, or of the root and all its citizens if none is named."""
        _raise_first(await self._freezer().thaw(names))

    def _freezer(self) -> Freezer:
        known = {name: member.settings for name, member in self.members.items()}
        return Freezer(self._settings.root, known, self.clock.now, self._owner_of, self._coordinator.copies)

    @contextlib.asynccontextmanager
    async def _owner_of(self, citizen: CitizenSettings) -> AsyncIterator[Owner | None]:
        control = self.members[citizen.name].control
        yield control if isinstance(control, Scheduler | RemoteControl) else None

    async def move(self, citizen: str, machine: str) -> None:
        """Let another machine run a shared citizen; its runs get the grace of a shutdown."""
        await self._coordinator.move(citizen, machine)

    def why_not_own(self, name: str) -> str:
        """Why the citizen cannot be taken over, as far as known without trying; from any thread."""
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

    @property
    def successor_of(self) -> int:
        """The process that releases these citizens one by one; 0 if there is none."""
        return self._options.successor_of

    def stands_by(self) -> bool:
        """Whether this process may later own a citizen that another machine runs now."""
        return self._coordinator.stands_by()

    def refusals(self) -> list[str]:
        """Why citizens are not owned here, one text each."""
        return [member.refusal for member in self.members.values() if member.refusal]

    def view(self) -> FleetView:
        """The fleet at this moment."""
        controls = tuple(self.members[name].control for name in sorted(self.members))
        settings, problems = self._settings, (*self._problems, *self._settings.monitor.problems)
        return FleetView(
            controls,
            problems,
            str(settings.root),
            self._loading,
            settings.monitor,
            settings.file,
            self._cluster,
        )

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back on this loop when citizens come or go; call the result to unsubscribe."""
        return self._subscribers.add(callback)

    def notify(self) -> None:
        self._subscribers.notify()

    # -------------------------------------------------------------- citizens come, change and go

    def _load(self, create: bool = False) -> Settings:
        """Load the settings; homes are made only at the start: one that is missing later was removed."""
        return load(config=self._options.config, only=self._options.only, create=create)

    async def _add(self, citizen: CitizenSettings) -> None:
        self._on_home(citizen.name, citizen.home, Masks(citizen.hidden))
        try:
            member = await self._factory.own(citizen)
        except SchedulerError as refusal:
            # Without `own` nothing was refused; a strict start by name ends with the same text.
            expected = self.successor_of or (self.named and self._options.strict)
            if self._options.own and not expected:
                for line in str(refusal).splitlines():
                    log.warning(line)
            member = await self._factory.attached(citizen, refusal)
        self._set_member(citizen.name, member)

    def _set_member(self, name: str, member: Member) -> None:
        self.members[name] = member
        (self._offline.add if isinstance(member.control, OfflineControl) else self._offline.discard)(name)

    def _request_stop(self) -> None:
        """End this process at the request of a client of a socket."""
        pid, service = os.getpid(), self._options.service
        if service:
            raise Managed(f"pid {pid} is {service}.service; end it with systemctl stop {service}")
        if self.on_stop is None:
            raise NotALoop(f"pid {pid} is a monitor{self._how_it_ends(pid)}")
        self.on_stop()

    def _how_it_ends(self, pid: int) -> str:
        """What ends this monitor; one that was closed has no keys any more."""
        if not self.closed:
            return "; press q there"
        runs = [f"{name}/{task}" for name, member in self.members.items() for task in member.running()]
        waits = f"it waits for {first_few(runs, joint=', ')}; kill {pid} ends that at once"
        return f" that was closed: {waits if runs else 'it is about to end'}"

    def _request_hand_over(self) -> None:
        if self.on_hand_over is None:
            raise SchedulerError(f"pid {os.getpid()} is no monitor")
        self.on_hand_over()

    def _role(self) -> str:
        return LOOP if self.on_stop else MONITOR if self.on_hand_over else ""

    # -------------------------------------------------------------- following the files

    async def _check_settings(self, asked: bool) -> float:
        """Apply changed settings on time, whatever the citizens do at the moment."""
        found, cost = await self._checks.timed(lambda: self._watch.look(self._settings, asked=asked))
        if found:
            self._apply(found)
        return min(AGAIN, pause_after(0)) if self._watch.undecided else pause_after(cost)

    async def _check_homes(self, asked: bool) -> float:
        """Notice edited state files and removed homes and locks; does not wait for the consequences."""
        (edited, displaced), cost = await self._checks.timed(self._differences)
        for scheduler in edited:
            scheduler.reload_if_edited()
        self._displaced.keep(displaced)
        for name in displaced:
            self._move(name, self._check_displaced(name))
        return pause_after(cost)

    async def _check_owners(self, asked: bool) -> float:
        """Check whether citizens not owned here have an owner now, or their homes are back."""
        start = self.clock.elapsed()
        for name in list(self._offline):
            member = self.members.get(name)  # read now: the checks before it took time
            if member and isinstance(member.control, OfflineControl):
                self._move(name, self._refresh_offline(member, member.control))
                await self._moves.wait(name)
        return pause_after(self.clock.elapsed() - start)

    async def _check_machines(self, asked: bool) -> float:
        """Take up the citizens of machines that are silent."""
        for name in await self._coordinator.free():
            if name in self.members and not self._is_owned(name):
                self._move(name, self._take_up(name))
        return FREE_EVERY

    async def _check_cluster(self, asked: bool) -> float:
        """Read the list of machines while a screen shows it."""
        if self._subscribers:
            self._cluster = await self._coordinator.overview()
            self.notify()
        return FREE_EVERY

    async def _take_up(self, name: str) -> None:
        with contextlib.suppress(Owned, DatabaseAway):  # another machine was faster
            await self._replace(self.members[name])
            log.info("taken up from another machine", extra={"citizen": name})

    async def _serve_remote(self, name: str, stream: RemoteStream, asked_by: str) -> None:
        """Serve a client on another machine that watches and steers a citizen that runs here."""
        member = self.members.get(name)
        if member and member.server:
            await member.server.serve_remote(stream, asked_by)
        else:
            stream.abort()

    def _let_go(self, name: str, why: str, gently: bool) -> None:
        """Stop everything of a citizen whose claim ends, at once or with the usual grace."""
        if name in self.members and not self._stopped:
            self._move(name, self._release(name, Owned(f"{name}: {why}"), None if gently else 0))

    def _differences(self) -> tuple[list[Scheduler], list[str]]:
        """The schedulers whose state file was edited, and the citizens whose lock is not in its place."""
        roots, homes = [*self._factory.freezes], [each.settings.home for each in list(self.members.values())]
        silent = hanging(map(str, (*roots, *homes)))
        members = [(name, m) for name, m in list(self.members.items()) if str(m.settings.home) not in silent]
        here = [each.control for _, each in members if isinstance(each.control, Scheduler)]
        frozen = {root for root in roots if str(root) not in silent and self._factory.freezes[root].changed()}
        edited = [
            scheduler
            for scheduler in here
            if (frozen and scheduler.home.parent in frozen) or scheduler.file_differs()
        ]
        displaced = [name for name, each in members if each.claim and not each.claim.in_place()]
        return edited, displaced

    def _move(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Let the citizen come, go or change, one step at a time; the caller does not wait for it."""
        wanted = self._wanted.get(name)

        def moved() -> None:
            if not self._stopped and self._wanted.get(name) is not wanted:  # the settings changed again
                self._settle(name)

        self._moves.begin(name, work, moved)

    async def _check_displaced(self, name: str) -> None:
        """Release the citizen if its claim, home or lock is gone for more than a moment."""
        settings, claim = self.members[name].settings, self.members[name].claim
        if claim and (over := claim.over()):  # even one that ended while the citizen was still arriving
            await self._release(name, Owned(f"{name}: {over}"))
            return
        why = await self._displaced.why_lost(name, settings.home)
        if why is None:
            return
        await self._release(name, why)
        if isinstance(why, Unreadable):
            self._gone.add(name)
        else:
            await self._add(settings)
            self.notify()

    async def _release(self, name: str, reason: SchedulerError, grace: float | None = 0) -> None:
        """Stop everything of a citizen here whose home is gone or owned by another process."""
        member = self.members[name]
        log.error(f"not run here any more: {reason}", extra={"citizen": name})
        await member.end(grace)
        self._alarms.forget(name)
        self._set_member(name, await self._factory.attached(member.settings, reason))
        self.notify()

    async def _refresh_offline(self, member: Member, offline: OfflineControl) -> None:
        """Check whether the home is back, or whether an owner lets this process attach."""
        name = member.settings.name
        home = member.settings.home
        if name in self._gone and await asyncio.to_thread(
            lambda: not hanging((str(home),)) and has_marker(home)
        ):
            self._gone.discard(name)
            await self._add(member.settings)
        else:
            await offline.refresh()
            elsewhere = self._coordinator.remote(member.settings)
            if elsewhere is None and not offline.snapshot().owner:
                return
            found = await attached(member.settings, offline.reason, self.clock, elsewhere)
            if elsewhere and isinstance(found.control, OfflineControl):
                return  # no machine runs it, as before
            if self.members.get(name) is not member:  # it has been replaced in the meantime
                await found.end()
                return
            self._set_member(name, found)
        if not isinstance(self.members[name].control, OfflineControl):
            self.notify()

    def _apply(self, settings: Settings) -> None:
        """Apply changed settings; settings with errors only change the problems on screen."""
        self._problems, self._settings = settings.problems, taken_up(self._settings, settings)
        if not settings.problems:
            self._wanted = {citizen.name: citizen for citizen in settings.citizens}
            for name in self.members.keys() | self._wanted.keys():
                self._settle(name)
        log.info("settings read", extra={"problems": len(settings.problems)})
        self.notify()
        waiting, self._reloaded = self._reloaded, []
        for done in waiting:
            done()

    def _settle(self, name: str) -> None:
        """Bring the citizen in line with the settings; one that is moving follows when it has arrived."""
        member, citizen = self.members.get(name), self._wanted.get(name)
        if name in self._moves:
            return
        if citizen is None:
            self._move(name, self._remove(name))
        elif member is None or (isinstance(member.control, OfflineControl) and member.settings != citizen):
            self._move(name, self._come(citizen))
        elif member.settings != citizen:
            self._change(member, citizen)
            if not citizen.problems:
                self._move(name, member.share())

    async def _come(self, citizen: CitizenSettings) -> None:
        await self._add(citizen)
        self.notify()

    async def _remove(self, name: str) -> None:
        await self.members[name].end()  # still a member, so that a stop of the fleet waits for it
        del self.members[name]
        self._offline.discard(name)
        self._alarms.forget(name)
        self.notify()

    def _change(self, member: Member, citizen: CitizenSettings) -> None:
        if isinstance(member.control, Scheduler):
            if citizen.problems:
                member.control.set_problems(citizen.problems)
                member.settings = replace(member.settings, problems=citizen.problems)
                return
            self._alarms.change(citizen)
            self._on_home(citizen.name, citizen.home, Masks(citizen.hidden))
            member.control.set_tasks(citizen.tasks, rules_of(citizen, self._options))
        member.settings = citizen


def _raise_first(answers: Iterable[Answer]) -> None:
    """Raise the first error, if there is any."""
    for answer in answers:
        if answer.error:
            raise answer.error
