"""Homes and locks that are removed under a running owner."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.control.fleet import Fleet
from scheduler.control.offline import OfflineControl
from scheduler.control.wire.client import Connection, RemoteControl
from scheduler.core.ports import FleetOptions
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import Owned
from scheduler.storage.lock import acquire, owner_of
from scheduler.system.unix_socket import client_socket, shared_path, socket_path
from tests.crash.loops import ROOT, STATE, Place, command
from tests.fakes import until

LOCKED = """
import sys, time
from pathlib import Path
from scheduler.storage.lock import acquire
kept = acquire(Path(sys.argv[1]), 5.0); print("mine", flush=True); sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr("scheduler.control.following.regular_checks.CHECK_EVERY", 0.05)
    monkeypatch.setattr("scheduler.control.following.displaced.TAKEN_AWAY", 0.2)
    place = Place(tmp_path)
    place.tasks(command("tick", "echo $$ >> ticks", every="100ms"))
    return place


@pytest.fixture
async def fleet(place: Place) -> AsyncIterator[Fleet]:
    fleet = Fleet(FleetOptions(config=place.config, wakes=False, create=True))
    await fleet.start()
    yield fleet
    await fleet.stop(0)


def control(fleet: Fleet) -> object:
    return fleet.members["opus"].control


@contextlib.contextmanager
def another_owner(place: Place) -> Iterator["subprocess.Popen[bytes]"]:
    argv, pipe = [sys.executable, "-c", LOCKED, str(place.home)], subprocess.PIPE
    with subprocess.Popen(argv, cwd=ROOT, stdin=pipe, stdout=pipe) as other:
        assert other.stdout.readline() == b"mine\n"
        yield other
        other.stdin.close()


async def ticks(place: Place) -> None:
    before = place.count("tick")
    await until(lambda: place.count("tick") > before + 1, "its task runs")


async def test_after_the_whole_folder_went_the_citizen_is_owned_again(place, fleet):
    shutil.rmtree(place.home / ".experience")
    # Not the socket: where the path of the home is long, that is elsewhere and was never gone.
    await until(lambda: owner_of(place.home), "there is a note of its owner again")
    await until(lambda: isinstance(control(fleet), Scheduler), "it is run again")
    with pytest.raises(Owned, match=f"owned by pid {os.getpid()}"):
        await asyncio.to_thread(acquire, place.home, 5.0)
    (await Connection.open(client_socket("opus", place.home))).close()
    await ticks(place)
    await fleet.stop(0)
    assert not socket_path(place.home).exists() and not shared_path(place.home).exists()


async def test_who_was_overtaken_lets_go_and_leaves_the_other_alone(place, fleet, monkeypatch):
    monkeypatch.setattr("scheduler.control.following.regular_checks.CHECK_EVERY", 60)
    await asyncio.sleep(0.1)  # the look that is on its way
    (place.home / ".experience" / "lock").unlink()
    with another_owner(place) as other:
        socket_path(place.home).unlink()
        socket_path(place.home).touch()  # stands for that of the other
        fleet.reload()
        await until(lambda: not isinstance(control(fleet), Scheduler), "it is not run here any more")
        assert owner_of(place.home).pid == other.pid
        assert socket_path(place.home).exists()
        assert f"owned by pid {other.pid}" in fleet.members["opus"].refusal


async def test_a_file_system_that_numbers_its_files_differently_takes_nothing_away(place, fleet, monkeypatch):
    looks = iter(range(10**9))
    monkeypatch.setattr("scheduler.storage.lock.file_id", lambda path: (1, next(looks)))
    before = next(looks)
    await until(lambda: next(looks) > before + 20, "it has been looked at often")
    assert isinstance(control(fleet), Scheduler)
    await ticks(place)


async def test_a_home_that_is_deleted_is_not_made_again_and_comes_back_when_it_does(tmp_path, place):
    tables = {name: "enabled = false" for name in BACKGROUND_TASKS}
    tables["tick"] = 'every = "100ms"\ncommand = ["true"]'
    settings = "".join(f"[citizens.opus.tasks.{name}]\n{lines}\n" for name, lines in tables.items())
    place.config.write_text(f'root = "{tmp_path}"\n{settings}')
    (place.home / "experience.toml").unlink()
    kept = tmp_path.parent / f"{tmp_path.name}-kept"
    fleet = Fleet(FleetOptions(config=place.config, wakes=False, create=True))
    await fleet.start()
    try:
        await ticks(place)
        place.home.rename(kept)
        await until(lambda: isinstance(control(fleet), OfflineControl), "it is not run any more")
        await until(lambda: "No such file or directory" in control(fleet).snapshot().stale, "it says why")
        await asyncio.sleep(0.3)  # some looks later
        assert not place.home.exists()
        kept.rename(place.home)
        await until(lambda: isinstance(control(fleet), Scheduler), "it is run again")
        await ticks(place)
    finally:
        await fleet.stop(0)


async def test_a_home_whose_disk_is_not_mounted_any_more_stays_empty_and_runs_again_when_it_is_back(
    tmp_path, place
):
    """After `umount -l` there is a folder, which is another one, and empty."""
    place.config.write_text(f'root = "{tmp_path}"\n[citizens.opus.tasks.heartbeat]\nevery = "100ms"\n')
    kept = tmp_path.parent / f"{tmp_path.name}-kept"
    fleet = Fleet(FleetOptions(config=place.config, wakes=False, create=True))
    await fleet.start()
    try:
        await ticks(place)
        place.home.rename(kept)
        place.home.mkdir()
        await until(lambda: isinstance(control(fleet), OfflineControl), "it is not run any more")
        assert "is empty; mount its disk" in fleet.members["opus"].refusal
        await asyncio.sleep(0.3)  # some looks later
        assert not (place.home / STATE).exists()
        shutil.rmtree(place.home)
        kept.rename(place.home)
        await until(lambda: isinstance(control(fleet), Scheduler), "it is run again")
        await ticks(place)
    finally:
        await fleet.stop(0)


async def test_an_attached_screen_follows_its_owner_through_it(place, fleet):
    remote = RemoteControl(client_socket("opus", place.home), fleet.clock)
    await remote.start()
    shutil.rmtree(place.home / ".experience")
    await until(lambda: remote.snapshot().stale, "its owner lets go")
    await until(lambda: not remote.snapshot().stale, "and is there again")
    assert (await remote.reset("tick")).saved
    await remote.stop()
