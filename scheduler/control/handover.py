"""Pass citizens from one process to the next: each is released between two runs and taken up at once."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from scheduler.control.fleet import Fleet
from scheduler.core.ports import HandedOver
from scheduler.errors import Owned, SchedulerError
from scheduler.storage.lock import owner_of

log = logging.getLogger("experience.fleet")

CHECK_EVERY = 0.05  # seconds between two checks of a citizen's owner
STARTED_WITHIN = 15.0  # seconds within which the next process must own a released citizen


class Successor(Protocol):
    """The process that is to run the citizens."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """Return its exit code; None while it lives."""


Start = Callable[[Sequence[str], Path], Successor]  # for these citizens, one of whose homes this is


async def hand_over(fleet: Fleet, start: Start) -> HandedOver:
    """Pass every citizen that runs here to a process made by `start`.

    Each is released when its runs have ended and its state is saved: no slot is lost or runs twice.
    A citizen that the other process does not take up continues here.
    """
    owned = {one.citizen: fleet.members[one.citizen].settings for one in fleet.schedulers()}
    kept = {name: each.problems[0] for name, each in owned.items() if each.problems}
    names = sorted(owned.keys() - kept.keys())
    if not names:
        return HandedOver(kept=kept)
    try:
        process = start(names, owned[names[0]].home)
    except OSError as error:
        return HandedOver(kept={**kept, **dict.fromkeys(names, str(error))})
    fleet.spare(process.pid)
    log.info("handing over", extra={"citizens": ", ".join(names), "to": process.pid})

    def taken(name: str) -> bool:
        owner = owner_of(owned[name].home)
        return owner is not None and owner.pid == process.pid

    async def taken_up(name: str) -> bool:
        for _ in range(round(STARTED_WITHIN / CHECK_EVERY)):
            if process.poll() is not None or await asyncio.to_thread(taken, name):
                break
            await asyncio.sleep(CHECK_EVERY)
        return await asyncio.to_thread(taken, name)

    async def passed(name: str) -> bool:
        went = await fleet.let_go(name, process.pid, taken_up)
        if went:  # in the citizen's log, since a closed terminal shows nothing
            log.info(f"goes on in the background, in process {process.pid}", extra={"citizen": name})
        return went

    answers = dict(zip(names, await asyncio.gather(*map(passed, names)), strict=True))
    why = "its background process did not start" if process.poll() is not None else "it was not taken up"
    kept |= {name: why for name, went in answers.items() if not went}
    for name, reason in kept.items():
        log.error(f"was not handed over: {reason}", extra={"citizen": name})
    return HandedOver(process.pid, tuple(name for name in names if answers[name]), kept)


async def succeed(fleet: Fleet, pid: int) -> None:
    """Take up each citizen when process `pid` releases it; return when there is none left to wait for."""
    homes = {name: member.settings.home for name, member in fleet.members.items()}
    begun = {one.citizen for one in fleet.schedulers()}
    waiting = set(homes) - begun
    for name in sorted(begun):
        _log_taken(name, pid)
    if waiting:
        log.info("taking over", extra={"citizens": ", ".join(sorted(waiting)), "of": pid})
    while waiting:
        owners = await asyncio.to_thread(lambda: {name: owner_of(homes[name]) for name in waiting})
        for name, owner in owners.items():
            if owner is None and await _taken(fleet, name, pid):
                waiting.discard(name)
            elif owner is not None and owner.pid not in (pid, os.getpid()):
                waiting.discard(name)  # another process has taken it
        await asyncio.sleep(CHECK_EVERY)


async def _taken(fleet: Fleet, name: str, pid: int) -> bool:
    try:
        await fleet.take_over(name)
        _log_taken(name, pid)
    except Owned:  # the owner's note disappears a moment before its lock
        return False
    except SchedulerError as error:
        log.error(str(error), extra={"citizen": name})
    return True


def _log_taken(name: str, pid: int) -> None:
    log.info(f"taken over from process {pid}", extra={"citizen": name})
