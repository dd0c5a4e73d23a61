"""A disk that hangs: the citizens on it are said to be silent, and no one else waits."""

import asyncio
import contextlib
import ctypes
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from scheduler.background import read_citizens
from scheduler.config.loader import fingerprint, load
from scheduler.control.fleet import Fleet
from scheduler.control.offline import OfflineControl
from scheduler.core.costs import Budget, SpendingRules
from scheduler.core.ports import FleetOptions
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import Frozen
from scheduler.process.adopted import is_reaper
from scheduler.spending.account import Account, AllCitizens
from scheduler.spending.ledger import SpendingLedger
from scheduler.system import hanging_disks as disks
from scheduler.system.hanging_disks import SILENT, hanging
from tests.crash.loops import Place, command
from tests.each import each
from tests.fakes import FakeClock, until

PR_SET_CHILD_SUBREAPER = 36
QUICK = ("tick", "echo $$ >> ticks")


class HungDisk:
    """Answers no question about its folder, until it is back; with `answers` only after the first use."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.back = str(folder), threading.Event()
        self.answers = self.catches = False
        self.touched: list[str] = []

    def answer(self, real):
        def ask(path=".", *given, **more):
            if not self.back.is_set() and str(path).startswith(self.folder):
                others = threading.current_thread() is not threading.main_thread()
                if real is _statvfs:
                    self.answers or self.back.wait(20)
                elif self.catches and others:
                    self.answers = False
                    self.back.wait(20)
                else:
                    self.touched.append(str(path))
            return real(path, *given, **more)

        return ask


_statvfs = os.statvfs


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the kernel says of the disks: one has a server."""
    mounts = tmp_path_factory.mktemp("proc") / "mountinfo"
    mounts.write_text("36 35 0:47 / /mnt rw shared:17 - nfs4 server:/homes rw\n")
    monkeypatch.setattr(disks, "MOUNTS", mounts)
    disks._any_served.cache_clear()
    yield mounts
    disks._any_served.cache_clear()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr("scheduler.control.following.regular_checks.CHECK_EVERY", 0.05)
    monkeypatch.setattr("scheduler.control.following.settings_watch.TAKEN_AWAY", 0.1)
    monkeypatch.setattr("scheduler.control.following.settings_watch.AGAIN", 0.05)
    monkeypatch.setattr("scheduler.system.hanging_disks.PATIENCE", 0.2)
    for name in ("mira", "opus"):
        place = Place(tmp_path, name)
        place.tasks(command(*QUICK, every="100ms"))
    return place


@pytest.fixture
def hung(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[HungDisk]:
    disk = HungDisk(place.root / "mira")
    for name in ("stat", "open", "listdir", "scandir", "statvfs"):
        monkeypatch.setattr(os, name, disk.answer(getattr(os, name)))
    waits = threading.Thread(target=disk.back.wait, args=(20,))  # else a child would be asked
    waits.start()
    yield disk
    disk.back.set()
    waits.join()


async def test_the_others_are_read_and_the_silent_one_is_said(place, hung):
    settings = load(config=place.config)
    problem = f"{hung.folder}: {SILENT}"
    assert [(each.name, each.problems) for each in settings.citizens] == [("mira", (problem,)), ("opus", ())]
    mira, opus = read_citizens(config=place.config)
    assert mira.problems == (problem,) and not mira.tasks
    assert opus.tasks and not opus.problems
    assert not hung.touched
    assert fingerprint(settings) == settings.mark
    hung.back.set()
    await until(lambda: not hanging([hung.folder]), "it answers")
    assert fingerprint(settings) != settings.mark, "that it is back is a change"


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


@pytest.fixture
def no_subreaper() -> Iterator[None]:
    """As in a command: an owner that an earlier test ran here has made this process adopt its descendants."""
    was_reaper, prctl = is_reaper(), ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    yield
    prctl(PR_SET_CHILD_SUBREAPER, int(was_reaper), 0, 0, 0)


def test_a_command_does_not_wait_at_its_end_for_a_disk(tmp_path, monkeypatch, no_subreaper):
    monkeypatch.setattr("scheduler.system.hanging_disks.PATIENCE", 0.2)
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # as in a command: a child asks
    monkeypatch.setattr(os, "statvfs", lambda home: home.endswith("b") and time.sleep(3))
    homes = [str(tmp_path / name) for name in "abc"]
    before = children()
    assert hanging(homes) == {homes[1]}
    assert children() <= before, "none is left to be waited for"
    began = time.monotonic()
    assert hanging(homes) == {homes[1]}
    assert time.monotonic() - began < 2, "it is known to be silent"


async def test_a_fleet_runs_the_others_and_the_silent_one_once_it_is_back(place, hung):
    fleet = Fleet(FleetOptions(config=place.config, wakes=False))
    await asyncio.wait_for(fleet.start(), 15)
    try:
        await until(lambda: place.count("tick") > 1, "the other one runs")
        mira = fleet.members["mira"].control
        assert isinstance(mira, OfflineControl) and SILENT in mira.snapshot().stale
        assert not hung.touched
        hung.back.set()
        await until(lambda: isinstance(fleet.members["mira"].control, Scheduler), "it runs, too")
    finally:
        await fleet.stop(0)


async def test_an_owner_ends_although_a_disk_hangs(place, hung, monkeypatch):
    monkeypatch.setattr("scheduler.ownership.coordinator.PATIENCE", 0.1)
    hung.back.set()
    fleet = Fleet(FleetOptions(config=place.config, wakes=False))
    await fleet.start()
    release = fleet.members["mira"].claim.ownership.release
    monkeypatch.setattr(
        fleet.members["mira"].claim.ownership, "release", lambda: hung.back.wait(20) and release()
    )
    hung.back.clear()
    await until(lambda: fleet.members["mira"].control.snapshot().freeze, "its disk is found to hang")
    hung.touched.clear()
    await asyncio.wait_for(fleet.stop(0), 10)
    assert not [path for path in hung.touched if path.endswith("sock")]


async def test_a_disk_that_begins_to_hang_holds_its_own_citizen_and_no_other(place, hung):
    hung.back.set()
    fleet = Fleet(FleetOptions(config=place.config, wakes=False))
    await fleet.start()
    try:
        mira, ran = fleet.members["mira"].control, Place(place.root, "mira")
        await until(lambda: ran.count("tick") > 1, "both run")
        hung.back.clear()
        await until(lambda: mira.snapshot().freeze is not None, "its disk is found to hang")
        assert mira.snapshot().freeze.problem == f"{hung.folder}: {SILENT}"
        with pytest.raises(Frozen, match=f"{SILENT}$"):
            await mira.force("tick")
        await until(lambda: not mira.snapshot().tasks[0].running_since, "what ran has ended")
        hung.touched.clear()
        before = place.count("tick")
        await until(lambda: place.count("tick") > before + 3, "the other one goes on")
        assert not hung.touched
        hung.back.set()
        before = ran.count("tick")
        await until(lambda: ran.count("tick") > before + 1, "it runs again")
        await until(lambda: not (mira.snapshot().freeze or mira.snapshot().problems), "nothing is wrong")
    finally:
        await fleet.stop(0)


@each("look", ["at its freeze", "at its budget", "at its home"])
async def test_a_disk_that_hangs_after_its_answer_holds_up_no_loop(place, hung, look):
    hung.back.set()
    paid = command("paid", "true", report="file")
    Place(place.root, "mira").tasks(command(*QUICK, every="100ms"), paid, more="[budget]\nday = 1\n")
    fleet = Fleet(FleetOptions(config=place.config, wakes=False))
    await fleet.start()
    try:
        mira, ran = fleet.members["mira"].control, Place(place.root, "mira")
        await until(lambda: ran.count("tick") > 1 and place.count("tick"), "both run")
        hung.answers = hung.catches = True
        hung.back.clear()
        if look == "at its budget":
            assert SILENT in mira._paid.hold(mira._registry.jobs["paid"].task)[0].why
        elif look == "at its home":  # for a client
            assert b'"home"' not in fleet.members["mira"].server._greeting()
        with pytest.raises(Frozen, match=f"{SILENT}$"):
            await mira.force("tick")
        before = place.count("tick")
        await until(lambda: place.count("tick") > before + 3, "the other one goes on")
        assert not hung.touched, "by the thread of the loop"
        hung.back.set()
        before = ran.count("tick")
        await until(lambda: ran.count("tick") > before + 1, "it runs again")
    finally:
        hung.back.set()
        await fleet.stop(0)


async def test_a_disk_that_hangs_as_a_socket_is_closed_or_opened_holds_up_no_loop(place, hung):
    hung.back.set()
    fleet = Fleet(FleetOptions(config=place.config, wakes=False))
    await fleet.start(dispatch=False)
    try:
        server = fleet.members["mira"].server
        for step in (server.close, server.open):
            hung.touched.clear()
            hung.answers = hung.catches = True
            hung.back.clear()
            with contextlib.suppress(OSError):
                await step()
            assert not hung.touched, "by the thread of the loop"
            hung.back.set()
            await until(lambda: not hanging([hung.folder]), "it answers")
    finally:
        hung.back.set()
        await fleet.stop(0)


async def test_a_disk_that_hangs_as_a_run_enters_its_folder_holds_up_no_loop(place, monkeypatch):
    real, back, folder = subprocess.Popen, threading.Event(), str(place.root / "mira")
    hangs, waiting = threading.Event(), list[str]()

    def start(argv, **more):
        if hangs.is_set() and str(more.get("cwd")) == folder:
            waiting.append(threading.current_thread().name)
            back.wait(20)
        return real(argv, **more)

    monkeypatch.setattr(subprocess, "Popen", start)
    fleet = Fleet(FleetOptions(config=place.config, wakes=False))
    await fleet.start()
    try:
        ran = Place(place.root, "mira")
        await until(lambda: ran.count("tick") > 1 and place.count("tick"), "both run")
        hangs.set()
        await until(lambda: waiting, "a run begins")
        before = place.count("tick")
        await until(lambda: place.count("tick") > before + 3, "the other one goes on")
        assert threading.main_thread().name not in waiting
        hangs.clear()
        back.set()
        before = ran.count("tick")
        await until(lambda: ran.count("tick") > before + 1, "it runs again")
    finally:
        back.set()
        await fleet.stop(0)


def test_a_ledger_on_a_disk_that_hangs_is_named_and_keeps_no_other_from_reading(tmp_path, monkeypatch):
    """The limit of all citizens reads every ledger of the root; the first to hang must not keep the lock."""
    monkeypatch.setattr("scheduler.system.hanging_disks.PATIENCE", 0.2)
    monkeypatch.setattr(threading, "active_count", lambda: 2)  # as in an owner
    homes = [tmp_path / name for name in ("mira", "opus")]
    for home in homes:
        home.mkdir()
        (home / "experience.toml").touch()
    back, hangs, real = threading.Event(), True, SpendingLedger.load

    def load(ledger: SpendingLedger) -> None:
        if hangs and "mira" in str(ledger._file):
            back.wait(20)
        real(ledger)

    monkeypatch.setattr(SpendingLedger, "load", load)
    together, clock = AllCitizens(tmp_path), FakeClock(0.0)
    opus = Account(homes[1], clock, together)
    opus.rules = SpendingRules(together=Budget(day=Decimal(1)))
    for _ in range(2):
        with pytest.raises(OSError, match=f"{homes[0]}: {SILENT}"):
            opus.limit("wake")
        assert not together._lock.locked()
    hangs = False
    back.set()
    assert opus.limit("wake") is None


def test_who_has_just_answered_is_not_asked_again_by_a_command(tmp_path, monkeypatch):
    asked: list[list[str]] = []
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(disks, "_ask", lambda homes, real=disks._ask: asked.append(homes) or real(homes))
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    assert not hanging([one])
    assert not hanging([one, other])
    monkeypatch.setattr(disks, "_answered", dict.fromkeys(disks._answered, 0.0))  # some time later
    assert not hanging([one])
    monkeypatch.setattr(threading, "active_count", lambda: 2)  # as in an owner, which is about to use it
    assert not hanging([one])
    assert asked == [[one], [other], [one], [one]]


@each(
    "mounted, asked",
    [
        ("36 35 98:0 / / rw,noatime shared:1 - ext4 /dev/root rw", False),
        ("36 35 0:52 / /home rw - tmpfs none rw\n37 35 0:53 / /sys/fs/fuse rw - fusectl fusectl rw", False),
        ("36 35 0:52 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw", False),
        ("36 35 98:0 / / rw - ext4 /dev/root rw\n37 35 0:50 / /home rw - fuse.sshfs host: rw", True),
        ("36 35 0:50 / /net rw shared:3 - autofs /etc/auto.net rw", True),
    ],
)
def test_local_disks_are_not_asked(tmp_path, served, mounted, asked):
    served.write_text(f"{mounted}\n")
    disks._any_served.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disks, "_ask", lambda homes, real=disks._ask: known.append(homes) or real(homes))
        known: list[list[str]] = []
        assert hanging([str(tmp_path)]) == frozenset()
    assert bool(known) is asked


def test_a_system_that_does_not_name_its_disks_has_them_asked(tmp_path, served):
    served.unlink()
    assert disks._any_served(0)
