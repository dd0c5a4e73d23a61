"""The output of a run on a worker is followed: its owner says so to the worker, for each run."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.cluster.workers.run_sender import RunSender
from scheduler.errors import DatabaseAway
from tests.fakes import until


class Away:
    async def connect(self) -> Any:
        raise DatabaseAway("away")


class Sent(SimpleNamespace):
    def __init__(self, row: int) -> None:
        super().__init__(row=row, machine="g1", looks=0, lease=SimpleNamespace(citizen="opus"))
        self.ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def follow(self, now: float) -> None:
        self.looks += 1


async def test_a_run_right_after_another_is_followed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look at the rows sleeps longer than the look at who follows: the second run began in between."""
    monkeypatch.setattr("scheduler.cluster.workers.run_sender.FOLLOW", 0.001)
    monkeypatch.setattr("scheduler.cluster.workers.run_sender.LOOK", 60.0)
    sender = RunSender(Away())  # type: ignore[arg-type]
    for row in (1, 2):
        sent = Sent(row)
        carried = asyncio.create_task(sender.carry(sent))  # type: ignore[arg-type]
        await until(lambda sent=sent: sent.looks, "it is looked at")
        sent.ended.set_result(None)
        await carried
        await until(lambda: sender._following and sender._following.done(), "nothing is followed")
    await sender.close()
