"""`engine status` and `doctor` say which workers there are, what waits, and what to do about it."""

import asyncio
from pathlib import Path

from click.testing import CliRunner, Result

from scheduler.cli.queries.doctor import doctor_command
from scheduler.cli.setup.engine import engine_command
from scheduler.cluster.database import Database
from tests.cluster.desk import Desk

SETTINGS = """root = "{root}"
[engine]
url = "{url}"
machine = "m1"
[citizens.opus.tasks.mail]
every = "1h"
queue = "mail"
command = ["true"]
"""


def asked(url: str, folder: Path, *words: str) -> Result:
    file = folder / "main.toml"
    (folder / "root" / "opus").mkdir(parents=True, exist_ok=True)
    file.write_text(SETTINGS.format(root=folder / "root", url=url))
    command = doctor_command if words == ("doctor",) else engine_command
    arguments = [*(word for word in words if word != "doctor"), "--config", str(file)]
    return CliRunner().invoke(command, arguments, standalone_mode=False)


async def test_it_names_queues_and_workers(desk: Desk, url: str, tmp_path: Path) -> None:
    first, second = await desk.start(), await desk.start(task="embed")
    status = await asyncio.to_thread(asked, url, tmp_path, "status")
    assert "queue gpu: 2 runs wait and no worker is there; start one with: " in status.stderr
    assert status.return_value == 1
    worker = await desk.enter()
    await desk.claim(first, worker)
    status = await asyncio.to_thread(asked, url, tmp_path, "status")
    assert status.stderr == "" and status.return_value == 1  # mira has no owner
    lines = [line.split() for line in status.stdout.splitlines()]
    assert ["gpu", "1", "1", "1"] in [line[:4] for line in lines] and "opus/embed" in status.stdout
    assert ["mail", "0", "0", "0"] in [line[:4] for line in lines]
    assert any(line[:1] == ["g1"] and line[-1] == "opus/render" for line in lines)
    assert second


async def test_doctor_says_how_the_database_is(desk: Desk, url: str, tmp_path: Path) -> None:
    await desk.start()
    found = await asyncio.to_thread(asked, url, tmp_path, "doctor")
    assert "engine    m1; postgresql://127.0.0.1" in found.stdout and "answers in" in found.stdout
    assert "queue gpu: 1 run waits and no worker is there" in found.stdout
    await desk.connection.execute("UPDATE version SET number = 1")
    found = await asyncio.to_thread(asked, url, tmp_path, "doctor")
    assert "has tables of version 1, this program knows" in found.stdout


def test_a_database_that_is_away_is_one_line(tmp_path: Path) -> None:
    found = asked("postgresql://experience@127.0.0.1:1/x", tmp_path, "doctor")
    assert "the database does not answer: postgresql://127.0.0.1:1/x" in found.stdout
    assert Database("postgresql://u:p@h/x").name == "postgresql://h/x"
