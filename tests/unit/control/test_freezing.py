"""Freezes from outside of the owner: whose files may be written, whose zone counts, who confirms."""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from scheduler.config.settings import CitizenSettings
from scheduler.control import freezing
from scheduler.control.fleet import Fleet
from scheduler.control.freezing import Answer, Freezer
from scheduler.core.ports import FleetOptions
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.schedules.until import moment_from
from scheduler.core.views import Receipt, Snapshot, TaskView
from scheduler.core.views import TaskStatus as Status
from scheduler.errors import (
    Disconnected,
    Frozen,
    NotConfirmed,
    NotOurs,
    NotRunning,
    SchedulerError,
    UnknownCitizen,
)
from scheduler.storage.file_copies import NotCopied
from scheduler.storage.freeze_file import HomeFreezes
from tests.crash.loops import Place
from tests.fakes import NOON, until


class FakeOwner:
    """Runs a citizen; `refusal` is what it answers to a look."""

    def __init__(self, zone: str = "", refusal: SchedulerError | None = None) -> None:
        running = TaskView("slow", Status.RUNNING, "1h", running_since=NOON)
        ended = TaskView("quick", Status.RUNNING, "1h", running_since=NOON)
        self.shown = Snapshot("opus", (running, ended), zone=zone)
        self.refusal, self.asked = refusal, list[Any]()

    def snapshot(self) -> Snapshot:
        return self.shown

    async def look_at_freeze(self) -> Freeze | None:
        self.asked.append("look")
        if self.refusal:
            raise self.refusal
        return None

    async def freeze(self, *, until: float | None = None, why: str = "") -> Receipt:
        self.asked.append(("freeze", until, why))
        return Receipt()

    async def thaw(self) -> Receipt:
        self.asked.append("thaw")
        return Receipt()

    async def stop_run(self, task: str) -> Receipt:
        self.asked.append(("stop", task))
        if task == "quick":
            raise NotRunning("it has ended")
        return Receipt()


def freezer(home: Path, owner: FakeOwner | None) -> Freezer:
    @asynccontextmanager
    async def owner_of(citizen: CitizenSettings) -> AsyncIterator[FakeOwner | None]:
        yield owner

    citizen = CitizenSettings("opus", home, hidden=frozenset({"hunter22"}))
    return Freezer(home.parent, {"opus": citizen}, lambda: NOON, owner_of)


async def frozen(home: Path, owner: FakeOwner | None, end: Any = lambda zone: None, **more: Any) -> Answer:
    (answer,) = await freezer(home, owner).freeze(["opus"], end, more.pop("why", ""), **more)
    return answer


async def test_the_owner_is_asked_to_look_when_the_file_is_written(home):
    owner = FakeOwner()
    answer = await frozen(home, owner, why="the key is hunter22")
    assert owner.asked == ["look"] and answer.error is None
    assert HomeFreezes(home).own.read(NOON)[0].last == answer.freeze
    assert answer.freeze.why == "the key is ***"


async def test_an_end_is_a_time_in_the_zone_of_the_owner(home):
    answer = await frozen(home, FakeOwner("Asia/Tokyo"), lambda zone: moment_from("08:00", NOON, zone))
    assert datetime.fromtimestamp(answer.freeze.until, ZoneInfo("Asia/Tokyo")).strftime("%H:%M") == "08:00"
    assert HomeFreezes(home).own.read(NOON)[0].last == answer.freeze


async def test_an_owner_that_does_not_confirm_is_named(home):
    gone = await frozen(home, FakeOwner(refusal=Disconnected("the owner (pid 7) does not answer")))
    assert isinstance(gone.error, NotConfirmed)
    assert str(gone.error) == (
        "opus: done in its files, not confirmed by its owner: the owner (pid 7) does not answer"
    )
    assert HomeFreezes(home).own.read(NOON)[0].last


async def test_a_freeze_of_which_other_machines_do_not_know_says_so(home):
    class Away:
        def keep(self, name: str, content: bytes) -> None:
            raise NotCopied(errno.EIO, "the database does not answer: check [engine] url")

    made = freezer(home, None)
    made._copies = lambda citizen: Away()
    (answer,) = await made.freeze(["opus"], lambda zone: None, "")
    assert isinstance(answer.error, NotConfirmed) and HomeFreezes(home).own.read(NOON)[0].last
    assert str(answer.error) == (
        "done in the files of this machine, not on others: the database does not answer: check [engine] url"
    )


async def test_an_owner_of_an_older_version_goes_on_and_is_named(home):
    old = FakeOwner(refusal=SchedulerError("no method 'look_at_freeze' with these parameters"))
    answer = await frozen(home, old)
    assert (
        "knows no freezes, and starts runs; restart it" in str(answer.error) and answer.error.exit_code == 3
    )


async def test_what_runs_is_stopped_if_that_is_asked(home):
    owner = FakeOwner()
    answer = await frozen(home, owner, stop_runs=True)
    assert answer.stopped == ("slow",)
    assert owner.asked == ["look", ("stop", "slow"), ("stop", "quick")]


async def test_the_home_of_another_user_is_frozen_by_its_owner_or_not_at_all(home, monkeypatch):
    monkeypatch.setattr(freezing, "_may_write", lambda home: False)
    owner = FakeOwner()
    assert (await frozen(home, owner, lambda zone: NOON + 60, why="x")).error is None
    assert owner.asked == [("freeze", NOON + 60, "x")] and not (home / ".experience").exists()
    assert isinstance((await frozen(home, None)).error, NotOurs)
    (lifted,) = await freezer(home, owner).thaw(["opus"])
    assert owner.asked[-1] == "thaw" and lifted.error is None


async def test_of_all_citizens_those_of_other_users_are_frozen_one_by_one(home, monkeypatch):
    monkeypatch.setattr(freezing, "_reads_the_same_file", lambda citizen: False)
    first, *others = await freezer(home, None).freeze([], lambda zone: None, "hunter22")
    assert first.text.endswith(": ***") and [each.citizen for each in others] == ["opus"]
    both = HomeFreezes(home).read(NOON)
    assert both.own.last and both.root.last
    lifted = await freezer(home, None).thaw([])
    assert [each.text for each in lifted] == ["all citizens: thawed", "opus: thawed"]


async def test_root_freezes_where_it_may_write(home, monkeypatch):
    monkeypatch.setattr(freezing, "is_ours", lambda path: False)
    for user, allowed in ((0, True), (4711, False)):
        monkeypatch.setattr(freezing.os, "geteuid", lambda user=user: user)
        assert freezing._may_write(home) is allowed
    with pytest.raises(SchedulerError, match="unknown citizen"):
        await freezer(home, None).freeze(["mira"], lambda zone: None, "")


async def test_a_monitor_freezes_and_thaws_its_own_citizens(tmp_path):
    place = Place(tmp_path)
    place.tasks('often\nevery = 0.1\ncommand = ["sh", "-c", "echo x >> ran"]')
    fleet = Fleet(FleetOptions(config=place.config))
    await fleet.start()
    (scheduler,) = fleet.schedulers()
    try:
        for names, together in ((["opus"], False), ([], True)):
            await fleet.freeze(names, until=None, why="maintenance", stop_runs=True)
            frozen = scheduler.snapshot().freeze
            assert (frozen.why, frozen.together) == ("maintenance", together)
            runs = scheduler.snapshot().task("often").run_count
            with pytest.raises(Frozen):
                await scheduler.force("often")
            await fleet.thaw(names)
            await until(
                lambda seen=runs: scheduler.snapshot().task("often").run_count > seen + 1, "it goes on"
            )
        with pytest.raises(UnknownCitizen):
            await fleet.freeze(["mira"], until=None, why="")
    finally:
        await fleet.stop(0)
