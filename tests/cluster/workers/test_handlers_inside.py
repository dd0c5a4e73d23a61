"""A handler inside a worker: its run takes the time that it took, and does not outlive the worker's lease."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from scheduler.cluster.workers import run_rows
from scheduler.cluster.workers.run_rows import Claimed
from scheduler.cluster.workers.worker import Worker
from scheduler.config.settings import CitizenSettings, EngineSettings, Settings
from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Call, Context, Task
from tests.fakes import FakeClock

CLAIMED = Claimed(7, "opus", "render", "", None, "", 1, "1", 1, "schedule", uuid4(), ())


async def test_its_duration_is_recorded_and_the_guard_knows_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, settings, results = FakeClock(), Settings(root=tmp_path), list[dict[str, Any]]()

    def render(context: Context) -> str:
        guarded.append(worker._guard._told)
        clock.stall(90.0)
        return "rendered"

    async def finish(
        connection: object, run: int, carrier: object, result: dict[str, Any], *_: object
    ) -> bool:
        results.append(result)
        return True

    async def no_connection() -> None: ...

    guarded: list[int] = []
    worker = Worker(
        settings, lambda: settings, EngineSettings("postgresql:///nowhere", "g1"), ["gpu"], 1, clock
    )
    task = Task("render", Every(60.0), Call(render), queue="gpu")
    found = CitizenSettings("opus", tmp_path, (task,)), task
    monkeypatch.setattr(worker._definitions, "at_once", lambda *_: found)
    monkeypatch.setattr(worker, "_connected", no_connection)
    monkeypatch.setattr(run_rows, "finish", finish)
    await worker._carry(CLAIMED, worker._lease.id)
    (result,) = results
    assert (result["outcome"], result["text"], result["seconds"]) == ("ok", "rendered", 90.0)
    assert guarded == [1]
