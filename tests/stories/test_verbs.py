"""What people saw of verbs: answers that were wrong, late or missing."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from scheduler.cli.main import run
from scheduler.control.fleet import Fleet
from scheduler.control.wire import messages
from scheduler.control.wire.client import RemoteControl
from scheduler.core.ports import FleetOptions
from scheduler.engine import task_registry
from scheduler.errors import Disconnected, NotConfirmed
from scheduler.storage.state_store import Store
from scheduler.system.unix_socket import HomeSocket, client_socket
from tests.each import each
from tui.__main__ import monitor
from tui.actions.dialogs import execute

VERBS = ("force", "reset", "pause", "resume")


class SlowDisk(Store):
    """A disk on which no fsync comes back while a test lasts."""

    async def saved(self) -> bool:
        await asyncio.Event().wait()
        return True


@each("verb", VERBS)
async def test_a_verb_on_a_slow_disk_says_done_not_saved_yet(verb, build, noting, monkeypatch):
    """With two seconds per fsync `pause` took eleven, and its client had given up after ten."""
    monkeypatch.setattr(task_registry, "SAVED_WITHIN", 0.01)
    scheduler = await build(noting(), store=SlowDisk())
    receipt = await getattr(scheduler, verb)("tick")
    assert receipt.text.endswith("; done, not saved yet: the disk is slow") and not receipt.saved
    scheduler._registry.store.saved = Store().saved


def test_a_client_waits_longer_than_its_owner_does_for_a_disk():
    from scheduler.control.wire.client import ANSWER_TIMEOUT

    assert task_registry.SAVED_WITHIN <= ANSWER_TIMEOUT / 2


# ------------------------------------------------------------------ an owner that does not answer


class Place:
    """A citizen whose owner takes requests and does not answer the verbs among them."""

    def __init__(self, folder: Path, hangs_up: bool) -> None:
        self.config, self.home = folder / "main.toml", folder / "homes" / "opus"
        self.home.mkdir(parents=True)
        self.config.write_text(f"root = {json.dumps(str(self.home.parent))}\n")
        (self.home / "experience.toml").write_text(
            '[tasks.chore]\ncron = "59 23 31 12 *"\ncommand = ["true"]\n'
        )
        self.asked: list[str] = []
        self.hangs_up = hangs_up

    async def never(self, *words: str, **more: bool) -> Any:
        self.asked += words or ("wake",)
        if self.hangs_up:
            raise OSError
        await asyncio.Event().wait()

    async def command(self, *words: str) -> int:
        argv = [*words, "--config", str(self.config)]
        with patch("scheduler.control.session._on_interrupt"):  # signals are for the main thread alone
            return await asyncio.to_thread(run, monitor, argv, "experience-tui")


@pytest.fixture(params=[False, True], ids=["silent", "dies"])
async def silent(request, tmp_path, monkeypatch) -> AsyncIterator[Place]:
    monkeypatch.setattr("scheduler.control.wire.client.ANSWER_TIMEOUT", 0.5)
    place = Place(tmp_path, request.param)
    fleet = Fleet(FleetOptions(config=place.config))
    await fleet.start(dispatch=False)
    (scheduler,) = fleet.schedulers()
    for verb in (*VERBS, "wake"):
        monkeypatch.setattr(scheduler, verb, place.never)
    yield place
    await fleet.stop(0)


@each("words", [*((verb, "opus", "chore") for verb in VERBS), ("wake", "opus")])
async def test_a_verb_without_an_answer_was_asked_and_is_not_an_error(silent, words, capsys):
    """`force` printed "the owner does not answer" and had been done: whoever tried again paid twice."""
    silent.asked.clear()
    assert await silent.command(*words) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("experience: opus: asked, not confirmed: the owner (pid ")
    assert len(silent.asked) == 1


async def test_a_script_reads_that_a_verb_is_not_confirmed(silent, capsys):
    assert await silent.command("force", "opus", "chore", "--json") == 3
    found = json.loads(capsys.readouterr().out)
    assert found["code"] == "not-confirmed" and "asked, not confirmed" in found["error"]


async def test_the_original_command_line_knows_code_3_too(silent, monkeypatch, capsys):
    from scheduler.cli.main import main

    monkeypatch.setenv("EXPERIENCE_CONFIG", str(silent.config))
    assert await asyncio.to_thread(main, ["--citizen", "opus", "--reset", "chore"]) == 3
    assert "asked, not confirmed" in capsys.readouterr().err


async def test_what_only_reads_is_an_error_as_before(silent, monkeypatch):
    clock = Fleet(FleetOptions()).clock
    control = RemoteControl(client_socket("opus", silent.home), clock)
    await control.start()
    monkeypatch.setattr(Fleet, "reload", lambda self: None)
    monkeypatch.setitem(messages.METHODS, "explain", messages.Method({"task": str}))
    monkeypatch.setattr("scheduler.engine.scheduler.Scheduler.explain", silent.never)
    with pytest.raises(Disconnected):
        await control.explain("chore")
    await control.stop()
    clock.close()


async def test_a_verb_that_was_never_sent_is_an_error(tmp_path):
    clock = Fleet(FleetOptions()).clock
    control = RemoteControl(HomeSocket(tmp_path / "no.sock", "opus", tmp_path), clock)
    with pytest.raises(Disconnected, match="looking for its owner"):
        await control.force("chore")
    clock.close()


async def test_the_monitor_says_that_a_verb_is_not_confirmed():
    async def refused() -> Any:
        raise NotConfirmed("opus: asked, not confirmed: the owner (pid 7) does not answer")

    (answer,) = await execute([("opus/chore", refused())])
    assert answer.text == "opus/chore: asked, not confirmed: the owner (pid 7) does not answer"
