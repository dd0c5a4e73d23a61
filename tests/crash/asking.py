"""Asks a loop for runs and wakes until it is killed, and knows what must have come of what was answered."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field

from scheduler.control.wire.client import Connection
from scheduler.errors import SchedulerError
from scheduler.system.clock import SystemClock
from scheduler.system.unix_socket import client_socket
from tests.crash.loops import Place

FORCED = "asked"  # a task that nothing but a force starts
GAP = 0.15  # seconds between two questions, at most


@dataclass
class Answers:
    """When questions were asked (Unix time) that were answered with a saved receipt."""

    forces: list[float] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)


async def ask_for(place: Place, seconds: float, dice: random.Random, answers: Answers) -> None:
    """Ask again and again, for so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                with suppress(SchedulerError, OSError):  # no owner yet, or it runs already
                    await _ask(place, dice, answers)
                await asyncio.sleep(0.01)


async def _ask(place: Place, dice: random.Random, answers: Answers) -> None:
    connection = await Connection.open(client_socket(place.citizen, place.home))
    try:
        while True:
            await asyncio.sleep(dice.uniform(0, GAP))
            with suppress(_Refused):
                await _one(connection, dice, answers)
    finally:
        connection.close()


async def _one(connection: Connection, dice: random.Random, answers: Answers) -> None:
    force, asked = dice.random() < 0.7, SystemClock.now()
    try:
        receipt = await (connection.ask("force", task=FORCED) if force else connection.ask("wake"))
    except SchedulerError as error:
        if error.code == "disconnected":
            raise
        raise _Refused from error
    if receipt.get("saved", True):
        (answers.forces if force else answers.wakes).append(asked)


class _Refused(Exception):
    """It runs already, or the owner is ending."""
