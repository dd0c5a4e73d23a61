"""`--stop`: ends the loops of citizens, asking first and insisting later, and tells how each went."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from scheduler.config.loader import CitizenSettings
from scheduler.control.client import Connection
from scheduler.errors import Disconnected, SchedulerError
from scheduler.storage.lock import owner_of
from scheduler.storage.managed import managed_by
from scheduler.system.process_info import Running, alive, born
from scheduler.system.unix_socket import door

CORE = Path(__file__).resolve().parents[2] / "core.py"
AFTER_GRACE = 15.0  # seconds on top of the grace that running tasks get
HURRIED = 7.0  # seconds after a second signal, which leaves tasks no grace
KILLED = 5.0  # seconds after SIGKILL: a process that hangs in the kernel stays
LOOK_EVERY = 0.05


@dataclass(frozen=True, slots=True)
class StopReport:
    """One line about one citizen; `wrong` makes the exit code 2."""

    text: str
    wrong: bool = False


@dataclass(frozen=True, slots=True)
class Loop:
    """A process that was asked to end; whether it is certain that it is one of ours, to be ended by force."""

    running: Running
    certain: bool


class Stays(Exception):
    """This owner is not for us to end; the text says why."""


async def end_all(citizens: Iterable[CitizenSettings], say: Callable[[StopReport], None]) -> int:
    """End every loop at the same time, telling of each in turn: of how many citizens."""
    processes: dict[Running, list[CitizenSettings]] = {}
    for citizen in citizens:
        if owner := owner_of(citizen.home):
            processes.setdefault(replace(owner, since=0.0), []).append(citizen)
    # One that owns several is asked once: asked a second time it would give its tasks no grace.
    for ending in [asyncio.create_task(_ended(owner, some)) for owner, some in processes.items()]:
        for told in await ending:
            say(told)
    return sum(map(len, processes.values()))


async def _ended(owner: Running, citizens: list[CitizenSettings]) -> list[StopReport]:
    try:
        _refuse_managed(citizens)
        how, wrong = await _end(owner, citizens)
    except Stays as reason:
        how, wrong = f"left alone: {reason}", False
    except PermissionError:
        how, wrong = f"pid {owner.pid} belongs to another user", True
    return [StopReport(f"{each.name}: {how}", wrong) for each in citizens]


def _refuse_managed(citizens: list[CitizenSettings]) -> None:
    for each in citizens:
        if unit := managed_by(each.home):
            raise Stays(f"it is {unit.name}.service; end it with {unit.systemctl('stop')}")


async def _end(owner: Running, citizens: list[CitizenSettings]) -> tuple[str, bool]:
    """Ask, wait, insist, wait, kill: how it went, and whether that is wrong."""
    patience = max(each.grace for each in citizens) + AFTER_GRACE
    loop = await _through_socket(owner, citizens[0]) or _by_signal(owner, citizens[0])
    if await _gone(loop.running, patience):
        return "ended", False
    if not loop.certain:
        return f"pid {loop.running.pid} has not ended in {patience:.0f}s; end it", True
    _signal(loop.running, signal.SIGTERM)
    if await _gone(loop.running, HURRIED):
        return f"ended, when it was told a second time after {patience:.0f}s", False
    _signal(loop.running, getattr(signal, "SIGKILL", signal.SIGTERM))
    if await _gone(loop.running, KILLED):
        return f"killed, for it had not ended in {patience + HURRIED:.0f}s", True
    return f"pid {loop.running.pid} does not even end when it is killed", True


async def _through_socket(owner: Running, citizen: CitizenSettings) -> Loop | None:
    """The owner, which was asked to end; None where nobody answers. Raises Stays."""
    try:
        connection = await Connection.open(door(citizen.home))
    except (Disconnected, OSError):
        return None
    try:
        await connection.ask("stop")
    except SchedulerError as refusal:
        # One of an earlier version knows no such request, and one that hangs answers none.
        if isinstance(refusal, Disconnected) or refusal.code == SchedulerError.code:
            return None
        raise Stays(str(refusal)) from None
    finally:
        connection.close()
    peer = connection.peer
    if peer is None:
        return Loop(owner, _is_loop(owner, citizen))
    # The note in the home can name any pid; who listens at its socket is known to the kernel.
    running = owner if peer.pid == owner.pid else Running(peer.pid, born(peer.pid) or 0.0, owner.since)
    return Loop(running, _user_of(peer.pid) == peer.uid)


def _by_signal(owner: Running, citizen: CitizenSettings) -> Loop:
    if not _is_loop(owner, citizen):
        raise Stays(f"pid {owner.pid} does not answer, and is no loop of --all or NAME")
    _signal(owner, signal.SIGTERM)
    return Loop(owner, True)


async def _gone(loop: Running, seconds: float) -> bool:
    for _ in range(round(seconds / LOOK_EVERY)):
        if not alive(loop):
            return True
        await asyncio.sleep(LOOK_EVERY)
    return not alive(loop)


def _signal(loop: Running, number: int) -> None:
    if alive(loop):
        with suppress(ProcessLookupError):
            os.kill(loop.pid, number)


def _is_loop(owner: Running, citizen: CitizenSettings) -> bool:
    """Whether this process is what its note in the home says: anyone who may write there can name any pid."""
    try:
        words = psutil.Process(owner.pid).cmdline()
    except psutil.Error:
        return False
    ours = any(Path(word).name == CORE.name for word in words[:3]) and {"--loop", citizen.name} <= set(words)
    headless = {"tui", "--no-ui"} <= set(words)
    return (ours or headless) and _user_of(owner.pid) == citizen.home.stat().st_uid


def _user_of(pid: int) -> int | None:
    try:
        return int(psutil.Process(pid).uids().effective)
    except psutil.Error:
        return None
