"""`experience-tui providers`: who is away, for people and scripts, and one run that tries it now."""

import json
import os
import time

import pytest

from scheduler.cli.main import run
from scheduler.process.process_info import BOOT, Running, born
from scheduler.providers.outage import Probe, Refused
from scheduler.providers.outage_files import OutageFiles
from scheduler.system.clock import SystemClock
from tests.crash.loops import Place
from tui.__main__ import monitor


@pytest.fixture
def place(tmp_path, monkeypatch) -> Place:
    monkeypatch.setenv("TZ", "UTC")
    return Place(tmp_path)


def asked(place: Place, *words: str) -> int:
    return run(monitor, ["providers", *words, "--config", str(place.config)], "experience-tui")


def refuse(place: Place) -> OutageFiles:
    outages = OutageFiles(place.root, SystemClock)
    owner = Running(os.getpid(), born(os.getpid()) or 0.0, time.time(), BOOT)
    outages.refused("anthropic", Refused(Probe("m", "mira", owner), "usage_limit", time.time() + 3600))
    return outages


def test_no_provider_is_away(place, capsys):
    assert asked(place) == 0
    assert capsys.readouterr().out == "no provider is away\n"


def test_who_is_away_and_until_when(place, capsys):
    refuse(place)
    assert asked(place) == 0
    assert "usage limit" in capsys.readouterr().out.splitlines()[1]
    assert asked(place, "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["provider"], found["told_by"], found["named"]) == ("anthropic", "mira", True)


def test_a_person_may_have_it_tried_now(place, capsys):
    outages = refuse(place)
    assert asked(place, "anthropic", "--retry") == 0
    found = outages.of("anthropic")
    assert found is not None and found.until <= time.time()
    assert asked(place, "openai", "--retry") == 0
    assert "openai is not away" in capsys.readouterr().out
    assert asked(place, "--retry") == 2


def test_a_wake_by_hand_that_is_refused_says_that_it_did_not_wake(place, capsys):
    agent = ["sh", "-c", "echo 'You have hit your limit; hit your limit, resets in 2h'; exit 1"]
    wake = f'[wake]\ncommand = {json.dumps(agent)}\nprovider = "anthropic"\n'
    place.tasks(more=wake)
    assert run(monitor, ["wake", "opus", "--wait", "--config", str(place.config)], "experience-tui") == 1
    assert capsys.readouterr().out.startswith("opus: not woken: refused by anthropic: usage limit, until ")
    assert run(monitor, ["wake", "opus", "--wait", "--config", str(place.config)], "experience-tui") == 2
    assert "opus waits for anthropic until " in capsys.readouterr().err
