"""Both ends of a remote run, without a database: what an owner hears of results, what a worker rereads."""

from pathlib import Path
from typing import Any

import pytest

from scheduler.cluster.database import Database
from scheduler.cluster.leases import Lease
from scheduler.cluster.workers import definitions, run_rows
from scheduler.cluster.workers.definitions import Definitions
from scheduler.cluster.workers.run_sender import RunSender, Sent
from scheduler.config.loader import load
from scheduler.core.task import Outcome, Trigger
from scheduler.core.task_digest import digest
from scheduler.engine.run import RunHandle
from tests.cluster.desk import OK

SETTINGS = """
root = "."
[engine]
url = "postgresql:///nowhere"
[citizens.opus.tasks]
render = {every = "1h", queue = "gpu", command = ["true"]}
embed = {every = "1h", queue = "gpu", command = ["true"]}
"""


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """Which results were asked for, each time; all of them are there."""
    asked: list[set[int]] = []

    async def results(connection: object, runs: set[int]) -> dict[int, dict[str, Any]]:
        asked.append(set(runs))
        return dict.fromkeys(runs, OK)

    monkeypatch.setattr(run_rows, "results", results)
    return asked


class Owner(RunSender):
    def __init__(self) -> None:
        super().__init__(Database("postgresql:///nowhere"))

    async def _connected(self) -> Any:
        return None


def sent(row: int) -> Sent:
    async def nothing(*_: object) -> None: ...

    handle = RunHandle("render", Trigger.SCHEDULE, 0.0, citizen="opus")
    return Sent(row, Lease("opus", 1, 0.0), "gpu", handle, nothing, lambda: True)


async def test_an_owner_that_hears_of_a_result_reads_it(read: list[set[int]]) -> None:
    owner = Owner()
    for word in ("7", "no number", "9" * 5000):  # whoever may use the database can say anything
        owner.ended(word)
    result = await owner.carry(sent(7))
    assert result and result.outcome is Outcome.OK  # it heard so before it waited
    assert read == [{7}]
    await owner.close()


def test_a_definition_is_found_at_once_until_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "opus").mkdir()
    config = tmp_path / "experience.toml"
    config.write_text(SETTINGS.replace('"."', f'"{tmp_path}"', 1))
    settings = load(config=config)
    citizen = settings.citizen("opus")
    assert citizen and not citizen.problems
    render, embed = ((task.name, digest(task, citizen.home)) for task in citizen.tasks if task.queue)
    known = Definitions(settings, lambda: load(config=config), "g1")
    assert known.at_once("opus", *embed) is None
    known.find("opus", *render)
    found = known.at_once("opus", *embed)  # one of its citizen was found
    assert found and found[1].name == embed[0] and known.at_once("opus", embed[0], "other") is None
    monkeypatch.setattr(definitions, "FRESH", 0.0)
    assert known.at_once("opus", *embed) is None
