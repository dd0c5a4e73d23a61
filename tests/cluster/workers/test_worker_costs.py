"""Costs that runs left on a worker: reported when it starts, whatever the disk of one citizen does."""

from pathlib import Path
from typing import Any, cast

from scheduler.cluster.database import Connection
from scheduler.cluster.workers.worker_costs import tell_left_over
from scheduler.config.settings import CitizenSettings
from scheduler.engine.paid.run_costs import ON_WORKERS
from scheduler.system.clock import SystemClock

REPORT = "render-1772452800-0a1b2c3d.json"


class Ledgers:
    """A connection to a database without rows, which keeps what is written."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    async def execute(self, query: str, values: Any) -> "Ledgers":
        if isinstance(values, dict):
            self.written.append((values["citizen"], values["content"]))
        return self

    async def fetchall(self) -> list[Any]:
        return []


async def test_a_home_that_cannot_be_read_keeps_no_other_cost_from_its_owner(
    tmp_path: Path, caplog: Any
) -> None:
    broken, sound = (CitizenSettings(name, tmp_path / name) for name in ("mira", "opus"))
    for citizen in (broken, sound):
        (citizen.home / ON_WORKERS.parent).mkdir(parents=True)
    (broken.home / ON_WORKERS).write_text("a file in place of the folder")
    (sound.home / ON_WORKERS).mkdir()
    (sound.home / ON_WORKERS / REPORT).write_text('{"cost_usd": 0.5}')
    ledgers, clock = Ledgers(), SystemClock()
    await tell_left_over(cast(Connection, ledgers), [broken, sound], clock)
    clock.close()
    ((citizen, line),) = ledgers.written
    assert citizen == "opus" and '"0.5"' in line
    assert list((sound.home / ON_WORKERS).iterdir()) == []
    assert [record.citizen for record in caplog.records] == ["mira"]
