"""Freeze and thaw citizens from outside: by their files, which hold at once, then by asking their owners."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from typing import Protocol

from scheduler.config.settings import CitizenSettings
from scheduler.control.machines import MachineControl
from scheduler.control.wire.asker import this_asker
from scheduler.core.schedules.freeze import Freeze, FreezeNote
from scheduler.core.schedules.schedule import local_zone, zone_named
from scheduler.core.secrets import Masks
from scheduler.core.views import Receipt, Snapshot
from scheduler.core.wording.text import freeze_words
from scheduler.errors import (
    PROGRAM,
    BadSchedule,
    Disconnected,
    Frozen,
    NotConfirmed,
    NotOurs,
    NotRunning,
    SchedulerError,
    UnknownCitizen,
    file_error,
)
from scheduler.storage.file_copies import NO_COPIES, FileCopies, NotCopied
from scheduler.storage.freeze_file import NAME, FreezeFile, HomeFreezes
from scheduler.storage.lock import owner_of as living_owner
from scheduler.system.foreign_home import is_ours
from scheduler.system.root_folder import root_folder

ALL = "all citizens"
IN_FILES_HERE = "done in the files of this machine, not on others"
IN_FILE = "done in its files, not confirmed by its owner"
SEEN_AFTER = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds between looks at whether another machine knows a freeze
UNKNOWN_METHOD = "no method "  # the answer of an owner of an older version


class Owner(Protocol):
    """What runs a citizen: a scheduler of this process, or the connection to another one."""

    def snapshot(self) -> Snapshot: ...

    async def freeze(self, *, until: float | None = None, why: str = "") -> Receipt: ...

    async def thaw(self) -> Receipt: ...

    async def look_at_freeze(self) -> Freeze | None: ...

    async def stop_run(self, task: str) -> Receipt: ...


OwnerOf = Callable[[CitizenSettings], AbstractAsyncContextManager[Owner | None]]
End = Callable[[tzinfo], float | None]  # returns when a freeze ends, for a clock in that zone


@dataclass(frozen=True, slots=True)
class Answer:
    """The result for one citizen or for ALL; `error` says what failed."""

    citizen: str
    text: str = ""
    freeze: Freeze | None = None
    stopped: tuple[str, ...] = ()
    error: SchedulerError | None = None


class Freezer:
    """Freezes the citizens of a root; `owner_of` connects to the owner of one for the length of a block."""

    def __init__(
        self,
        root: Path,
        citizens: Mapping[str, CitizenSettings],
        now: Callable[[], float],
        owner_of: OwnerOf,
        copies: Callable[[CitizenSettings | None], FileCopies] = lambda citizen: NO_COPIES,
    ) -> None:
        """`copies` of a citizen (None: of all) are what other machines read of a freeze."""
        self._citizens, self._now, self._owner_of, self._copies = citizens, now, owner_of, copies
        self._root = FreezeFile(root_folder(root) / NAME, together=True, copies=copies(None))

    async def freeze(
        self, names: Collection[str], end: End, why: str, *, stop_runs: bool = False
    ) -> list[Answer]:
        """Freeze these citizens, or the whole root if none is named; raises UnknownCitizen, BadSchedule."""

        async def one(citizen: CitizenSettings) -> Answer:
            return await self._freeze(citizen, end, why, stop_runs)

        if names:
            return await self._each(names, one)
        hidden = Masks(frozenset[str]().union(*(each.hidden for each in self._citizens.values())))
        freeze = Freeze(
            self._now(), end(local_zone()), str(await asyncio.to_thread(this_asker)), hidden.hide(why)
        )
        try:
            await asyncio.to_thread(self._root.freeze, freeze)
        except OSError as error:
            return [Answer(ALL, error=_write_error(error, self._root.path))]
        said = Answer(ALL, f"{ALL}: {freeze_words(freeze, self._now())}", freeze)

        async def joined(citizen: CitizenSettings) -> Answer:
            if _reads_the_same_file(citizen):
                return await self._confirmed(citizen, stop_runs)
            return await one(citizen)

        others = await self._each(self._citizens, joined)
        return [said, *(each for each in others if each.text or each.error or each.stopped)]

    async def thaw(self, names: Collection[str]) -> list[Answer]:
        """Lift the freezes of these citizens, or of the root and all its citizens if none is named."""
        if names:
            return await self._each(names, self._thaw)
        note, _ = await asyncio.to_thread(self._root.read, self._now())
        try:
            await asyncio.to_thread(self._root.thaw, self._now())
        except OSError as error:
            return [Answer(ALL, error=_write_error(error, self._root.path))]
        lifted = await self._each(self._citizens, self._thaw)
        was = _in_force(note, self._now())
        said = [Answer(ALL, f"{ALL}: thawed")] if was else []
        notable = [each for each in lifted if each.error or each.freeze]
        return [*said, *notable] or [Answer(ALL, f"{ALL}: nothing is frozen")]

    async def _each(
        self, names: Collection[str], act: Callable[[CitizenSettings], Awaitable[Answer]]
    ) -> list[Answer]:
        for name in names:
            if name not in self._citizens:
                raise UnknownCitizen(name, self._citizens)

        async def answer(name: str) -> Answer:
            try:
                return await act(self._citizens[name])
            except Disconnected as error:
                return Answer(name, error=NotConfirmed(f"{name}: {IN_FILE}: {error}"))
            except SchedulerError as error:
                return Answer(name, error=error)

        return list(await asyncio.gather(*map(answer, names)))

    async def _freeze(self, citizen: CitizenSettings, end: End, why: str, stop_runs: bool) -> Answer:
        now, by, may_write = self._now(), str(await asyncio.to_thread(this_asker)), _may_write(citizen.home)
        freeze = Freeze(now, end(local_zone()), by, Masks(citizen.hidden).hide(why))
        own = HomeFreezes(citizen.home, self._copies(citizen)).own
        if may_write:  # first, since an owner reads it before each start and may take seconds to answer
            await _write(own.freeze, freeze)
        async with self._owner_of(citizen) as owner:
            if (until := end(_zone_of(owner))) != freeze.until:
                freeze = replace(freeze, until=until)
                if may_write:
                    await _write(own.freeze, freeze)
            if may_write and not isinstance(owner, MachineControl):
                await self._notify_owner(citizen, owner)
            elif owner:
                await owner.freeze(until=until, why=why)
            else:
                raise _not_ours(citizen)
            stopped = await _stop_runs(owner) if stop_runs else ()
        return Answer(citizen.name, f"{citizen.name}: {freeze_words(freeze, now)}", freeze, stopped)

    async def _confirmed(self, citizen: CitizenSettings, stop_runs: bool) -> Answer:
        """Make sure that the citizen's owner knows that all are frozen."""
        async with self._owner_of(citizen) as owner:
            await self._notify_owner(citizen, owner)
            if isinstance(owner, MachineControl):
                await _wait_until_read(owner, frozen=True)
            return Answer(citizen.name, stopped=await _stop_runs(owner) if stop_runs else ())

    async def _thaw(self, citizen: CitizenSettings) -> Answer:
        """Thaw the citizen; the answer has the freeze that was lifted."""
        name, now = citizen.name, self._now()
        async with self._owner_of(citizen) as owner:
            if not _may_write(citizen.home):
                if owner is None:
                    raise _not_ours(citizen)
                was = owner.snapshot().freeze
                await owner.thaw()
                return Answer(name, f"{name}: thawed" if was else f"{name}: is not frozen", was)
            files = HomeFreezes(citizen.home, self._copies(citizen))
            before = await asyncio.to_thread(files.read, now)
            was = _in_force(before.own, now)
            await _write(files.own.thaw, now)
            if isinstance(owner, MachineControl):
                await _wait_until_read(owner, frozen=_in_force(before.root, now) is not None)
                await owner.thaw()
            else:
                await self._notify_owner(citizen, owner)
            if left := (await asyncio.to_thread(files.read, self._now())).now(self._now()):
                words = freeze_words(left, now)
                raise Frozen(f"{name} is still {words}; thaw all citizens: {PROGRAM} thaw")
        return Answer(name, f"{name}: thawed" if was else f"{name}: is not frozen", was)

    async def _notify_owner(self, citizen: CitizenSettings, owner: Owner | None) -> None:
        """Have the owner read the files; raises NotConfirmed if it does not or cannot."""
        if owner is None:
            if silent := await asyncio.to_thread(living_owner, citizen.home):
                raise NotConfirmed(f"{citizen.name}: {IN_FILE}: pid {silent.pid} does not answer")
            return
        try:
            await owner.look_at_freeze()
        except Disconnected as error:
            raise NotConfirmed(f"{citizen.name}: {IN_FILE}: {error}") from error
        except SchedulerError as error:
            if not str(error).startswith(UNKNOWN_METHOD):
                raise
            old = "its owner is of a version that knows no freezes, and starts runs; restart it"
            raise NotConfirmed(f"{citizen.name}: {old}") from error


def _zone_of(owner: Owner | None) -> tzinfo:
    """The time zone of the citizen's owner."""
    try:
        return zone_named(owner.snapshot().zone) if owner else local_zone()
    except BadSchedule:  # it runs here, or its owner has not sent one
        return local_zone()


def _in_force(note: FreezeNote, now: float) -> Freeze | None:
    return note.last if note.last and note.last.holds(now) else None


def _may_write(home: Path) -> bool:
    return is_ours(home) or os.geteuid() == 0


def _reads_the_same_file(citizen: CitizenSettings) -> bool:
    """Whether the citizen's owner reads this user's file for the root: the home belongs to this user."""
    return is_ours(citizen.home)


def _not_ours(citizen: CitizenSettings) -> NotOurs:
    return NotOurs(
        f"{citizen.name}: its home is another user's, and no process that runs it lets this user attach"
    )


def _write_error(error: OSError, otherwise: object) -> SchedulerError:
    if isinstance(error, NotCopied):
        return NotConfirmed(f"{IN_FILES_HERE}: {error.strerror}")
    return SchedulerError(file_error(error, otherwise))


async def _wait_until_read(owner: MachineControl, *, frozen: bool) -> None:
    """Return when the owner's machine has read whether all citizens are frozen; raises Disconnected."""
    for wait in SEEN_AFTER:
        freeze = await owner.look_at_freeze()
        if freeze is not None if frozen else not (freeze and freeze.together):
            return
        await asyncio.sleep(wait)
    raise Disconnected("its machine has not read them yet")


async def _write(write: Callable[..., None], value: Freeze | float) -> None:
    try:
        await asyncio.to_thread(write, value)
    except OSError as error:
        raise _write_error(error, "the freeze") from error


async def _stop_runs(owner: Owner | None) -> tuple[str, ...]:
    """Stop all runs; return the names of their tasks."""
    running = [task.name for task in owner.snapshot().tasks if task.running_since] if owner else []
    stopped = []
    for task in running:
        try:
            assert owner
            await owner.stop_run(task)
        except NotRunning:  # it has ended by itself
            continue
        stopped.append(task)
    return tuple(stopped)
