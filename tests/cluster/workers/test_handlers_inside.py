"""A handler inside a worker: its run takes the time that it took, and does not outlive the worker's lease."""

from collections.abc import Callable
from dataclasses import replace
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
Results = list[dict[str, Any]]


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> Results:
    """What workers record of their runs."""
    recorded = Results()

    async def finish(
        connection: object, run: int, carrier: object, result: dict[str, Any], *_: object
    ) -> bool:
        recorded.append(result)
        return True

    monkeypatch.setattr(run_rows, "finish", finish)
    return recorded


def worker_for(
    home: Path, handler: Callable[[Context], str], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> Worker:
    """A worker without a database that knows the task `render` of opus."""

    async def no_connection() -> None: ...

    settings, engine = Settings(root=home), EngineSettings("postgresql:///nowhere", "g1")
    worker = Worker(settings, lambda: settings, engine, ["gpu"], 1, clock)
    task = Task("render", Every(60.0), Call(handler), queue="gpu")
    found = CitizenSettings("opus", home, (task,)), task
    monkeypatch.setattr(worker._definitions, "at_once", lambda *_: found)
    monkeypatch.setattr(worker, "_connected", no_connection)
    return worker


async def test_its_duration_is_recorded_and_the_guard_knows_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: Results
) -> None:
    clock, guarded = FakeClock(), list[int]()

    def render(context: Context) -> str:
        guarded.append(worker._guard._told)
        clock.stall(90.0)
        return "rendered"

    worker = worker_for(tmp_path, render, clock, monkeypatch)
    await worker._carry(CLAIMED, worker._lease.id)
    (result,) = results
    assert (result["outcome"], result["text"], result["seconds"]) == ("ok", "rendered", 90.0)
    assert guarded == [1]


async def test_nothing_runs_in_a_home_that_takes_no_report_of_the_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: Results
) -> None:
    ran = list[Context]()
    (tmp_path / ".experience").write_text("a file in place of the folder")
    worker = worker_for(tmp_path, lambda context: str(ran.append(context)), FakeClock(), monkeypatch)
    await worker._carry(replace(CLAIMED, charge="render-1772452800-0a1b2c3d"), worker._lease.id)
    (result,) = results
    assert (result["outcome"], ran) == ("failed", [])
    assert result["text"].startswith(f"its cost could not be counted: {tmp_path / '.experience'}")
