"""Settings files that are written in steps, away for a moment, or read by a process that is held up."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.config.loader import Settings, load, taken_up
from scheduler.control.fleet import Fleet
from scheduler.control.following.regular_checks import LONGEST, pause_after
from scheduler.control.following.settings_watch import TAKEN_AWAY, SettingsWatch
from scheduler.control.offline import OfflineControl
from scheduler.core.ports import FleetOptions
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.schedules.schedule import Every
from scheduler.engine.scheduler import Scheduler
from scheduler.storage.freeze_file import root_freeze
from tests.each import each
from tests.fakes import until

TEXT = """\
[tasks.report]
every = "1h"
command = ["report", "${WHERE}"]
timeout = 150

[tasks.heartbeat]
enabled = false

[wake]
every = "30m"
"""


class Place:
    """A root with opus, whose settings are looked at every two seconds of a clock that stands still."""

    def __init__(self, root: Path) -> None:
        self.now = 0.0
        self.root, self.home, self.main = root / "root", root / "root" / "opus", root / "main.toml"
        self.home.mkdir(parents=True)
        self.main.write_text(f"root = {json.dumps(str(self.root))}\n[citizens.opus]\nworkers = 2\n")
        self.own, self.secrets = self.home / "experience.toml", self.home / ".env"
        self.own.write_text(TEXT)
        self.secrets.write_text("WHERE=here\n")
        self.environ = {"WHERE": "elsewhere"}
        self.known = self.read()
        self.watch = SettingsWatch(self.read, lambda: self.now)

    def read(self) -> Settings:
        return load(config=self.main, environ=self.environ)

    def looks(self, seconds: float = 0.0, *, asked: bool = False) -> bool:
        """Look every two seconds for so long; whether any settings counted."""
        end, counted = self.now + seconds, False
        while True:
            if found := self.watch.look(self.known, asked=asked):
                self.known, counted = taken_up(self.known, found), True
            if self.now >= end:
                return counted
            self.now, asked = self.now + 2.0, False

    def report(self) -> object:
        (citizen,) = self.known.citizens
        return next(task for task in citizen.tasks if task.name == "report")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# ------------------------------------------------------------------ what is there for a moment


@each("file", ["main", "own", "secrets"])
@each("step", ["empty", "missing"])
@each("seconds", [0, 2, 6])
def test_a_file_that_is_empty_or_away_for_a_moment_changes_nothing(place, file, step, seconds):
    """xymon-monitoring/xymon PR 348, deblasis/wintty 1138: the file was rewritten in place, in steps."""
    before, path = place.known.citizens, getattr(place, file)
    text = path.read_text()
    path.write_text("") if step == "empty" else path.unlink()
    place.looks(seconds)
    assert place.known.citizens == before
    path.write_text(text)
    place.looks(20)
    assert place.known.citizens == before and place.known.problems == ()


@each("end", range(0, len(TEXT), 7))
def test_a_cut_anywhere_in_a_file_ends_no_task_and_starts_none(place, end):
    """Canop/bacon 310, adolfousier/opencrabs 911: half of the file happened to be valid."""
    before = place.known.citizens
    place.own.write_text(TEXT[:end])
    place.looks(6)
    tasks = [citizen.tasks for citizen in place.known.citizens if not citizen.problems]
    assert tasks in ([], [before[0].tasks])
    place.own.write_text(TEXT)
    place.looks(20)
    assert place.known.citizens == before


def test_a_root_that_is_not_mounted_for_a_moment_takes_no_citizen_away(place):
    before = place.known.citizens
    away = place.root.with_name("away")
    place.root.rename(away)
    place.root.mkdir()  # where the disk is mounted
    place.looks(4)
    assert place.known.citizens == before
    place.root.rmdir()
    place.looks(4)
    assert place.known.citizens == before
    away.rename(place.root)
    place.looks(20)
    assert place.known.citizens == before and place.known.problems == ()


def test_a_script_that_is_replaced_in_two_steps_stays_the_tasks_script(place):
    script = place.home / "scripts" / "chore.py"
    script.parent.mkdir()
    script.write_text("pass")
    place.own.write_text(f"{TEXT}[tasks.chore]\nevery = '1h'\n")
    place.looks(4)
    before = place.known.citizens
    script.unlink()
    place.looks(4)
    assert place.known.citizens == before
    script.write_text("print()")
    place.looks(20)
    assert place.known.citizens == before


# ------------------------------------------------------------------ what was meant


def test_a_change_counts_at_the_second_look(place):
    place.own.write_text(TEXT.replace("150", "160"))
    assert not place.looks()
    assert place.watch.undecided
    place.now += 1.0
    assert place.looks()
    assert place.report().timeout == 160.0
    assert not place.watch.undecided and not place.looks(20)


def test_a_file_that_grows_from_look_to_look_counts_when_it_is_whole(place):
    """A slow copy: no two looks see the same."""
    whole = TEXT + "".join(f"[tasks.t{n}]\nevery = '1h'\ncommand = ['x']\n" for n in range(6))
    for end in range(len(TEXT), len(whole), 20):
        place.own.write_text(whole[:end])
        place.now += 2.0
        assert not place.looks()
    place.own.write_text(whole)
    assert place.looks(2)
    assert "t5" in {task.name for task in place.known.citizens[0].tasks}


@pytest.mark.parametrize("step", ["empty", "missing"])
def test_a_file_that_stays_empty_or_away_was_meant_so(place, step):
    place.own.write_text("") if step == "empty" else place.own.unlink()
    assert not place.looks(TAKEN_AWAY - 2)
    assert place.looks(2)
    assert "report" not in {task.name for task in place.known.citizens[0].tasks}


def test_a_key_that_is_removed_for_good_is_removed_some_seconds_later(place):
    place.own.write_text(TEXT.replace("timeout = 150\n", ""))
    assert not place.looks(TAKEN_AWAY - 2)
    assert place.looks(2)
    assert place.report().timeout == 300.0


def test_a_person_who_asks_means_what_is_missing(place):
    """SIGHUP: the files are complete now, and two looks must still see the same."""
    place.own.write_text("")
    assert not place.looks(asked=True)
    place.own.write_text("[wake]\nevery = '1h'\n")
    place.now += 1.0
    assert not place.looks()
    place.now += 1.0
    assert place.looks()
    assert place.known.citizens[0].wake.schedule == Every(3600.0)


def test_a_broken_file_is_shown_soon_and_changes_nothing(place):
    place.own.write_text("[tasks.report")
    assert place.looks(2)
    assert place.known.citizens[0].problems


def test_a_file_that_is_cut_after_it_was_broken_has_still_lost_its_names(place):
    place.own.write_text("[tasks.report")
    assert place.looks(2)
    place.own.write_text("")
    assert not place.looks(TAKEN_AWAY - 2)
    assert place.looks(2)


# ------------------------------------------------------------------ looks come on time


@each("cost", [0.0, 0.013, 1.0, 3600.0])
def test_no_look_is_put_off_by_more_than_some_seconds(cost):
    """Digital-Process-Tools/claude-supertool 2514: a back-off hid a reload for an hour."""
    assert 2.0 <= pause_after(cost) <= LONGEST <= 10.0
    assert pause_after(cost) >= min(2000 * cost, LONGEST), "idle, it takes a two-thousandth of the time"


class Fleets:
    """Two citizens in one fleet that looks often."""

    def __init__(self, root: Path) -> None:
        self.root, self.main = root / "root", root / "main.toml"
        self.main.parent.mkdir(exist_ok=True)
        self.main.write_text(f"root = {json.dumps(str(self.root))}\n")
        for name in ("mira", "opus"):
            (self.root / name).mkdir(parents=True)
            self.tasks(name)

    def tasks(self, name: str, *tables: str) -> None:
        quiet = [f"[tasks.{task}]\nenabled = false\n" for task in BACKGROUND_TASKS]
        (self.root / name / "experience.toml").write_text("".join((*quiet, *tables)))


@pytest.fixture
async def fleets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleets]:
    monkeypatch.setattr("scheduler.control.following.regular_checks.CHECK_EVERY", 0.05)
    for module in ("displaced", "settings_watch"):
        monkeypatch.setattr(f"scheduler.control.following.{module}.TAKEN_AWAY", 0.3)
    yield Fleets(tmp_path)


async def begun(fleets: Fleets) -> Fleet:
    fleet = Fleet(FleetOptions(config=fleets.main, wakes=False))
    await fleet.start()
    return fleet


def names(fleet: Fleet, citizen: str) -> set[str]:
    return {task.name for task in fleet.members[citizen].control.snapshot().tasks}


NEW = "[tasks.new]\nevery = '1h'\ncommand = ['true']\n"


async def test_a_citizen_that_takes_its_time_to_end_does_not_hold_up_the_others(fleets, monkeypatch):
    """A task that ignored SIGTERM was being ended; for the next 42 minutes no settings were read."""
    fleet, gate = await begun(fleets), asyncio.Event()
    mira = fleet.members["mira"].control

    async def hangs(grace: float | None = None) -> None:
        await gate.wait()

    try:
        monkeypatch.setattr(mira, "stop", hangs)
        (fleets.root / "mira").rename(fleets.root.parent / "away")
        await until(lambda: "mira" in fleet._moves, "it is being ended")
        fleets.tasks("opus", NEW)
        await until(lambda: "new" in names(fleet, "opus"), "the others' settings are read")
        assert "mira" in fleet._moves
    finally:
        gate.set()
        await until(lambda: not fleet._moves, "it has ended")
        await fleet.stop(0)


async def test_a_citizen_that_takes_its_time_to_come_does_not_hold_up_the_others(fleets, monkeypatch):
    """Its state is large, or its disk is slow."""
    fleet, gate = await begun(fleets), asyncio.Event()
    own = fleet._factory.own

    async def slowly(citizen):
        await gate.wait()
        return await own(citizen)

    try:
        monkeypatch.setattr(fleet._factory, "own", slowly)
        (fleets.root / "aria").mkdir()
        fleets.tasks("aria")
        await until(lambda: "aria" in fleet._moves, "it is coming")
        fleets.tasks("opus", NEW)
        await until(lambda: "new" in names(fleet, "opus"), "the others' settings are read")
        fleets.tasks("aria", NEW)
        await asyncio.sleep(0.3)
        gate.set()
        await until(lambda: "aria" in fleet.members and "new" in names(fleet, "aria"), "with its newest")
    finally:
        gate.set()
        await fleet.stop(0)


async def test_a_home_that_is_away_for_a_moment_ends_none_of_its_runs(fleets, monkeypatch):
    for module in ("displaced", "settings_watch"):
        monkeypatch.setattr(f"scheduler.control.following.{module}.TAKEN_AWAY", 60.0)
    fleets.tasks("mira", "[tasks.long]\nevery = '1h'\ncommand = ['sh', '-c', 'touch begun; sleep 60']\n")
    fleet = await begun(fleets)
    try:
        await until((fleets.root / "mira" / "begun").exists, "it runs")
        away = fleets.root.parent / "away"
        fleets.root.rename(away)
        await until(lambda: "mira" in fleet._displaced.since, "it was noticed")
        away.rename(fleets.root)
        await until(lambda: not fleet._displaced.since, "it is back")
        assert isinstance(fleet.members["mira"].control, Scheduler)
        assert fleet.members["mira"].control.snapshot().task("long").running_since
    finally:
        await fleet.stop(0)


async def test_a_home_that_stays_away_is_let_go_of(fleets):
    fleet = await begun(fleets)
    try:
        (fleets.root / "mira").rename(fleets.root.parent / "away")
        await until(
            lambda: "mira" not in fleet.members or isinstance(fleet.members["mira"].control, OfflineControl),
            "it is not run any more",
        )
        assert not (fleets.root / "mira").exists()
        assert isinstance(fleet.members["opus"].control, Scheduler)
    finally:
        await fleet.stop(0)


async def test_a_freeze_of_all_citizens_by_another_process_is_noticed_and_so_is_its_end(fleets):
    fleet, file = await begun(fleets), root_freeze(fleets.root)
    controls = [member.control for member in fleet.members.values()]
    try:
        await asyncio.to_thread(file.freeze, Freeze(time.time(), None, "ct"))
        await until(lambda: all(one.snapshot().freeze for one in controls), "every citizen is frozen")
        await asyncio.to_thread(file.thaw, time.time())
        await until(lambda: not any(one.snapshot().freeze for one in controls), "none is")
    finally:
        await fleet.stop(0)


async def test_a_process_that_was_stopped_for_a_minute_looks_again_at_once(fleets, monkeypatch):
    """SIGSTOP, a frozen group, a paused machine: what the clock did is no cost of the look."""
    fleet = await begun(fleets)
    try:
        ahead = [0.0]
        elapsed = fleet.clock.elapsed

        def stopped() -> float:
            ahead[0] += 60.0
            return elapsed() + ahead[0]

        monkeypatch.setattr(fleet.clock, "elapsed", stopped)
        await asyncio.sleep(0.2)
        fleets.tasks("opus", NEW)
        await until(lambda: "new" in names(fleet, "opus"), "the settings are read", 10)
    finally:
        monkeypatch.undo()
        await fleet.stop(0)


def test_settings_of_other_files_do_not_take_anything_away(place):
    """What is compared is what each file sets, not where it stands."""
    assert not place.looks(10)
    place.known = replace(place.known, given={})
    place.own.write_text("")
    assert place.looks(2)
