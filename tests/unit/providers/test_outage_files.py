"""The files of a root's providers: shared by processes, for this user alone, and never a reason to fail."""

import json
import os
import threading
from pathlib import Path

import pytest

from scheduler.process.process_info import BOOT, Running, born
from scheduler.providers.outage import Probe, Refused
from scheduler.providers.outage_files import OutageFiles
from tests.each import each
from tests.fakes import NOON, FakeClock

US = Running(os.getpid(), born(os.getpid()) or 0.0, NOON, BOOT)


def run(name: str) -> Probe:
    return Probe(name, name, US)


@pytest.fixture
def outages(tmp_path: Path, clock: FakeClock) -> OutageFiles:
    return OutageFiles(tmp_path, clock)


def is_away(outages: OutageFiles, *, named: float | None = None) -> None:
    outages.refused("anthropic", Refused(run("mira"), "usage_limit", named))


def test_a_provider_is_there_until_it_refuses_and_no_file_tells_of_it(
    outages: OutageFiles, tmp_path: Path
) -> None:
    assert outages.begin("anthropic", run("opus")) is None
    assert outages.all() == [] and list(tmp_path.iterdir()) == []


async def test_everybody_waits_then_one_tries_and_the_rest_follow_it(outages, clock) -> None:
    is_away(outages, named=NOON + 600)
    waits = outages.begin("anthropic", run("opus"))
    assert waits is not None and waits.until == NOON + 600
    assert outages.begin("openai", run("opus")) is None
    await clock.advance(600)
    assert outages.begin("anthropic", run("opus")) is None
    assert outages.begin("anthropic", run("opus")) is None  # it is the probe
    assert outages.begin("anthropic", run("mira")) is not None
    assert outages.ended("anthropic", "opus", tried=True)
    assert outages.begin("anthropic", run("mira")) is None and outages.all() == []


async def test_a_probe_that_did_not_find_out_leaves_its_place_to_the_next(outages, clock) -> None:
    is_away(outages)
    await clock.advance(60)
    assert outages.begin("anthropic", run("opus")) is None
    assert not outages.ended("anthropic", "opus", tried=False)
    assert outages.begin("anthropic", run("mira")) is None


def test_a_run_that_began_before_and_ends_well_does_not_bring_it_back(outages: OutageFiles) -> None:
    is_away(outages)
    assert not outages.ended("anthropic", "opus", tried=True)
    assert outages.of("anthropic") is not None


async def test_of_many_in_several_processes_one_is_the_probe(tmp_path, clock) -> None:
    is_away(OutageFiles(tmp_path, clock))
    await clock.advance(60)
    went: list[str] = []

    def start(name: str) -> None:
        if OutageFiles(tmp_path, clock).begin("anthropic", run(name)) is None:
            went.append(name)

    threads = [threading.Thread(target=start, args=(f"c{n}",)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(went) == 1


def test_the_files_are_for_their_user_alone(outages: OutageFiles, tmp_path: Path) -> None:
    is_away(outages)
    folder = tmp_path / ".experience" / "providers"
    assert folder.parent.stat().st_mode & 0o777 == folder.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {0o600}


@each("content", ["", "{", "[]", '{"provider": "anthropic"}', "\x00"])
def test_a_file_that_says_nothing_is_no_outage(tmp_path: Path, clock: FakeClock, content: str) -> None:
    outages = OutageFiles(tmp_path, clock)
    is_away(outages)
    (tmp_path / ".experience" / "providers" / "anthropic.json").write_text(content)
    assert outages.of("anthropic") is None
    assert outages.begin("anthropic", run("opus")) is None


def test_what_another_user_wrote_or_is_about_another_provider_is_not_believed(
    outages: OutageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_away(outages)
    file = tmp_path / ".experience" / "providers" / "anthropic.json"
    file.with_name("openai.json").write_text(json.dumps(json.loads(file.read_text())))
    assert outages.of("openai") is None
    monkeypatch.setattr("scheduler.system.files.os.geteuid", lambda: os.getuid() + 1)
    assert outages.of("anthropic") is None


def test_a_person_may_end_the_waiting(outages: OutageFiles) -> None:
    is_away(outages, named=NOON + 86_400)
    found = outages.retry("anthropic")
    assert found is not None and found.until == NOON
    assert outages.begin("anthropic", run("opus")) is None
    assert outages.retry("openai") is None
