"""The state file: replaced whole or not at all, never over changes of another program or an invalid file."""

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.state import Failure, TaskState
from scheduler.core.task import Outcome
from scheduler.errors import Unreadable
from scheduler.process.process_info import Running
from scheduler.storage.state_file import SETTLED, Behind, ChangedOutside, StateFile
from scheduler.storage.state_store import LAST_RETRY, DiskStore
from tests.each import each
from tests.fakes import NOON, FakeClock, until
from tests.ordinary_user import home_of_an_ordinary_user, ordinary_user

NAME = "background_tasks.json"
UNKNOWN = (Path(__file__).parents[2] / "data" / "unknown_keys.json").read_text()


def on_disk(home: Path) -> dict[str, Any]:
    return json.loads((home / NAME).read_text())


def aside(home: Path) -> list[Path]:
    return sorted(home.glob(f"{NAME}.corrupt-*"))


def on_edited(home: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """An editor that replaces the file."""
    content = on_disk(home)
    change(content)
    (home / "edited").write_text(json.dumps(content))
    (home / "edited").replace(home / NAME)


class Owner:
    """A scheduler as its store sees it: states that change, and callbacks."""

    def __init__(self, home: Path, clock: FakeClock) -> None:
        self.home, self.clock = home, clock
        self.pool = ThreadPoolExecutor(2)
        self.store = DiskStore(home, clock, self.pool)
        loaded, self.notes = self.store.load()
        self.states = dict(loaded)
        self.notified = 0
        self.adopted: list[str] = []
        self.store.begin(lambda: self.states, self.adopt, self.tell)

    def adopt(self, states: Any, notes: list[str]) -> None:
        self.notes = notes
        self.adopted += states
        self.states.update(states)

    def tell(self) -> None:
        self.notified += 1

    def change(self, name: str, state: TaskState) -> None:
        self.states[name] = state
        self.store.changed()

    async def saves(self, name: str, state: TaskState) -> bool:
        self.change(name, state)
        return await self.store.saved()


@pytest.fixture
def owner(home, clock):
    owner = Owner(home, clock)
    yield owner
    owner.pool.shutdown()


# ------------------------------------------------------------------ reading


def test_without_a_file_there_is_nothing_and_nothing_is_made(home):
    assert StateFile(home).load() == ({}, [])
    assert list(home.iterdir()) == []


@each("content", [b"", b"{", b"[1]", b"\xff\xfe{}", b'{"last_run": {"heartbeat"'])
def test_what_is_no_state_file_is_set_aside_untouched_and_said(home, content):
    (home / NAME).write_bytes(content)
    states, notes = StateFile(home).load()
    assert states == {}
    assert [path.read_bytes() for path in aside(home)] == [content]
    assert not (home / NAME).exists()
    assert "could not be read" in notes[0] and aside(home)[0].name in notes[0]


def test_two_broken_files_are_both_kept(home):
    for content in ("first{", "second{"):
        (home / NAME).write_text(content)
        StateFile(home).load()
    assert sorted(path.read_text() for path in aside(home)) == ["first{", "second{"]


def test_who_only_looks_moves_nothing(home):
    (home / NAME).write_text("{")
    states, notes = StateFile(home).peek()
    assert states == {} and "will move it aside" in notes[0]
    assert [path.name for path in home.iterdir()] == [NAME]


def test_a_half_valid_file_is_kept_in_its_place_and_what_was_dropped_is_named(home):
    (home / NAME).write_text('{"last_run": {"a": 5, "b": "soon"}}')
    states, notes = StateFile(home).load()
    assert states["a"] == TaskState(last_run=5.0)
    assert notes == [f"{home / NAME}: dropped last_run.b: expected a time in seconds, not 'soon'"]
    assert aside(home) == []


def test_a_mark_that_an_editor_puts_first_is_no_damage(home):
    (home / NAME).write_bytes(b"\xef\xbb\xbf" + b'{"last_run": {"a": 5}}')
    assert StateFile(home).load() == ({"a": TaskState(last_run=5.0)}, [])


def test_unreadable_is_not_empty():
    with home_of_an_ordinary_user() as home, ordinary_user():
        (home / NAME).write_text('{"last_run": {"a": 5}}')
        (home / NAME).chmod(0)
        with pytest.raises(Unreadable, match=f"{NAME}: Permission denied; make it readable"):
            StateFile(home).load()
        assert [path.name for path in home.iterdir()] == [NAME]


def test_a_folder_in_its_place_is_unreadable_and_stays(home):
    (home / NAME).mkdir()
    with pytest.raises(Unreadable, match="Is a directory"):
        StateFile(home).load()
    assert (home / NAME).is_dir()


# ------------------------------------------------------------------ one save


@pytest.fixture
def steps(home, monkeypatch):
    """What reaches the disk, in order."""
    steps: list[str] = []
    fsync, rename = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append("fsync folder" if target == home else f"fsync {target.name}")
        if target != home:
            steps.append(f"with {target.stat().st_size > 0}")
        fsync(descriptor)

    def noted_rename(name: str, target: str, **folders: int) -> None:
        steps.append(f"rename {name} to {target}")
        rename(name, target, **folders)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_rename)
    return steps


def test_a_save_is_a_temporary_file_fsync_rename_and_fsync_of_the_folder(home, steps):
    StateFile(home).save({"a": TaskState(1.0)}, 1, durable=True)
    temporary = f".{NAME}.saving"
    assert steps == [f"fsync {temporary}", "with True", f"rename {temporary} to {NAME}", "fsync folder"]


def test_a_handler_starts_without_waiting_for_an_fsync(home, steps):
    StateFile(home).save({"a": TaskState(1.0)}, 1, durable=False)
    assert steps == [f"rename .{NAME}.starting to {NAME}"]


def test_an_older_version_never_replaces_a_newer_one_and_makes_it_durable_instead(home, steps):
    file = StateFile(home)
    file.save({"a": TaskState(2.0)}, 2, durable=False)
    steps.clear()
    file.save({"a": TaskState(1.0)}, 1, durable=True)
    assert on_disk(home)["last_run"] == {"a": 2.0}
    assert steps[-3:] == [f"fsync {NAME}", "with True", "fsync folder"]
    assert [path.name for path in home.iterdir()] == [NAME]


@pytest.mark.parametrize("broken", ["fsync", "replace", "fchmod"])
def test_a_save_that_breaks_leaves_the_old_file_and_no_litter(home, monkeypatch, broken):
    file = StateFile(home)
    file.save({"a": TaskState(1.0)}, 1, durable=True)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, refuse)
    with pytest.raises(OSError, match="No space"):
        file.save({"a": TaskState(2.0)}, 2, durable=True)
    assert on_disk(home)["last_run"] == {"a": 1.0}
    assert [path.name for path in home.iterdir()] == [NAME]


def test_a_new_file_is_its_owners_alone_and_an_old_one_keeps_its_mode(home):
    file = StateFile(home)
    file.save({}, 1, durable=True)
    assert (home / NAME).stat().st_mode & 0o777 == 0o600
    (home / NAME).chmod(0o644)
    file.save({}, 2, durable=True)
    assert (home / NAME).stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_root_leaves_a_users_file_to_that_user():
    with home_of_an_ordinary_user() as home:
        file = StateFile(home)
        file.save({}, 1, durable=True)
        file.save({}, 2, durable=True)
        assert (home / NAME).stat().st_uid == home.stat().st_uid != 0


def test_what_we_do_not_know_survives_every_save(home):
    (home / NAME).write_text(UNKNOWN)
    file = StateFile(home)
    states, _ = file.load()
    for version in (1, 2, 3):
        file.save(states, version, durable=version == 3)
        assert on_disk(home)["note"] == json.loads(UNKNOWN)["note"]
        assert on_disk(home)["tasks"]["heartbeat"]["colour"] == "green"
        assert on_disk(home)["errors"]["news_scan"]["host"] == "example.org"


# ------------------------------------------------------------------ saves while a loop runs


async def test_what_ends_before_it_has_begun_writes_nothing(home, clock):
    (home / NAME).write_text('{"last_run": {"tick": 5.0}}')
    await DiskStore(home, clock).close()
    assert on_disk(home) == {"last_run": {"tick": 5.0}}


async def test_one_save_serves_all_changes_that_wait(owner, home, monkeypatch):
    saves = []
    save = StateFile.save
    monkeypatch.setattr(StateFile, "save", lambda self, *rest: (saves.append(rest), save(self, *rest)))
    for number in range(100):
        owner.change(f"task{number}", TaskState(float(number)))
    await asyncio.gather(*(owner.store.saved() for _ in range(50)))
    assert len(on_disk(home)["last_run"]) == 100
    assert len(saves) <= 2


async def test_a_save_says_whether_it_came_to_the_disk(owner, home):
    assert await owner.saves("a", TaskState(1.0)) is True
    assert on_disk(home)["last_run"] == {"a": 1.0}
    assert owner.store.unsaved == ""


async def test_a_save_that_fails_is_said_and_tried_again_until_it_succeeds(owner, home, clock, caplog):
    caplog.set_level("INFO")
    home.rename(home.with_name("away"))
    assert await owner.saves("a", TaskState(1.0)) is False
    assert "No such file" in owner.store.unsaved and owner.notified == 1
    for _ in range(6):
        await clock.advance(LAST_RETRY)
        await asyncio.wrap_future(owner.pool.submit(int))
    home.with_name("away").rename(home)
    await clock.advance(LAST_RETRY)
    await until((home / NAME).exists, "the save was tried again")
    await until(lambda: owner.store.unsaved == "", "the screen says so")
    assert on_disk(home)["last_run"] == {"a": 1.0}
    assert owner.notified == 2
    assert [each for each in caplog.messages if "saved" in each] == ["state not saved", "state saved again"]


async def test_a_read_only_folder_is_a_save_that_fails(clock):
    with home_of_an_ordinary_user() as home, ordinary_user():
        owner = Owner(home, clock)
        home.chmod(0o500)
        assert await owner.saves("a", TaskState(1.0)) is False
        assert "Permission denied" in owner.store.unsaved
        home.chmod(0o700)
        await clock.advance(1)
        await until(lambda: owner.store.unsaved == "", "it is saved")
        assert on_disk(home)["last_run"] == {"a": 1.0}
        owner.pool.shutdown()


async def test_a_read_only_file_in_a_writable_folder_is_no_hindrance(clock):
    with home_of_an_ordinary_user() as home, ordinary_user():
        (home / NAME).write_text("{}")
        (home / NAME).chmod(0o400)
        owner = Owner(home, clock)
        assert await owner.saves("a", TaskState(1.0)) is True
        owner.pool.shutdown()


async def test_closing_tries_once_and_a_failing_disk_does_not_delay_it(owner, home):
    home.rename(home.with_name("away"))
    owner.change("a", TaskState(1.0))
    await owner.store.close()
    home.with_name("away").rename(home)
    await owner.store.close()
    assert on_disk(home)["last_run"] == {"a": 1.0}


async def test_starts_without_end_cannot_keep_a_save_from_finishing(owner, home):
    enough = asyncio.Event()

    async def start_all_the_time() -> None:
        number = 0
        while not enough.is_set():
            number += 1
            owner.change("busy", TaskState(float(number)))
            await owner.store.written()

    busy = asyncio.create_task(start_all_the_time())
    for number in range(20):
        assert await owner.saves("a", TaskState(float(number))) is True
    enough.set()
    await busy
    await owner.store.close()
    assert on_disk(home)["last_run"]["a"] == 19.0


# ------------------------------------------------------------------ another program


async def test_a_vanished_file_is_written_anew(owner, home):
    await owner.saves("a", TaskState(1.0))
    (home / NAME).unlink()
    await owner.saves("b", TaskState(2.0))
    assert on_disk(home)["last_run"] == {"a": 1.0, "b": 2.0}
    assert owner.adopted == []


async def test_what_another_hand_changed_is_honoured_and_what_we_changed_is_kept(owner, home):
    await owner.saves("news_scan", TaskState(1.0, 5, Failure(NOON, "refused"), failures_in_a_row=2))
    await owner.saves("heartbeat", TaskState(7.0, 70))

    def edit(content: dict[str, Any]) -> None:
        content["run_counts"]["news_scan"] = 100
        content["tasks"]["news_scan"]["paused"] = True
        del content["last_run"]["heartbeat"]
        content["reminder"] = "do not run on Sundays"

    on_edited(home, edit)
    assert owner.store.differs()
    saved = owner.states["news_scan"].finished(Outcome.OK, "fine", NOON, 1.0)
    await owner.saves("news_scan", saved)
    assert owner.states["news_scan"] == saved.changed(run_count=100, paused=True)
    assert owner.states["heartbeat"] == TaskState(None, 70)
    assert sorted(owner.adopted) == ["heartbeat", "news_scan"]
    saved = on_disk(home)
    assert saved["run_counts"] == {"news_scan": 100, "heartbeat": 70}
    assert saved["last_run"] == {"news_scan": 1.0}
    assert saved["reminder"] == "do not run on Sundays"


async def test_an_error_that_we_cleared_does_not_come_back_with_another_hands_change(owner, home):
    failed = TaskState(1.0, 1, Failure(NOON + 0.12345678, "refused"))
    await owner.saves("a", failed)
    on_edited(home, lambda content: content.update(touched=True))
    await owner.saves("a", failed.finished(Outcome.OK, "", NOON, 1.0))
    assert on_disk(home)["errors"] == {}


async def test_no_hand_can_make_believe_that_something_runs(owner, home):
    running = TaskState(1.0).started(Running(os.getpid(), 1.0, NOON))
    await owner.saves("a", running)

    def edit(content: dict[str, Any]) -> None:
        content["tasks"]["a"]["running"] = None
        content["tasks"]["b"] = {"running": {"pid": 1, "born": 1, "since": 1}}

    on_edited(home, edit)
    await owner.saves("c", TaskState(1.0))
    assert owner.states["a"] == running
    assert owner.states["b"].running is None


async def test_a_touch_changes_nothing(owner, home):
    await owner.saves("a", TaskState(1.0))
    os.utime(home / NAME, (1, 1))
    assert await owner.saves("a", TaskState(2.0)) is True
    assert owner.adopted == []


async def taken_up(owner, home, name: str) -> bool:
    """Another program writes a name into the file; True if it reaches the states."""
    await asyncio.to_thread(on_edited, home, lambda content: content["last_run"].update({name: 5.0}))
    with contextlib.suppress(AssertionError):
        await until(lambda: name in owner.states, "it was taken up", 3)
    return name in owner.states


async def test_no_change_by_another_hand_is_lost_while_we_save_all_the_time(owner, home):
    await owner.saves("own", TaskState(1.0))
    enough = asyncio.Event()

    async def save_all_the_time() -> None:
        number = 0
        while not enough.is_set():
            number += 1
            owner.change("own", TaskState(float(number)))
            await (owner.store.saved() if number % 3 else owner.store.written())

    busy = asyncio.create_task(save_all_the_time())
    lost = 0
    for number in range(15):
        while not await taken_up(owner, home, f"theirs{number}"):
            lost += 1
        assert f"theirs{number}" in on_disk(home)["last_run"], "and never taken out of the file"
    enough.set()
    await busy
    await owner.store.close()
    assert len(on_disk(home)["last_run"]) == 16
    assert lost <= 3  # between our last look and the rename there is a gap that no other hand locks


def test_until_a_change_by_another_hand_is_merged_nothing_is_written_over_it(home):
    file = StateFile(home)
    file.save({"a": TaskState(1.0)}, 1, durable=True)
    on_edited(home, lambda content: content["last_run"].update(b=5.0))
    with pytest.raises(ChangedOutside):
        file.save({"a": TaskState(2.0)}, 2, durable=True)
    for version in (2, 3):
        with pytest.raises(Behind):
            file.save({"a": TaskState(3.0)}, version, durable=False)
    file.merged(4)
    with pytest.raises(Behind):
        file.save({"a": TaskState(3.0)}, 3, durable=False)
    assert on_disk(home)["last_run"] == {"a": 1.0, "b": 5.0}


# ------------------------------------------------------------------ another program writes in place


async def test_a_writer_in_place_that_is_caught_half_way_is_waited_for_and_honoured(owner, home, clock):
    await owner.saves("a", TaskState(1.0, 1))
    content = on_disk(home)
    content["run_counts"]["a"] = 50
    text = json.dumps(content)
    with (home / NAME).open("w") as file:
        file.write(text[:40])
        file.flush()
        saving = asyncio.ensure_future(owner.saves("a", TaskState(2.0, 1)))
        await until(lambda: clock.waiting, "the save waits")
        file.write(text[40:])
    await clock.advance(SETTLED)
    assert await saving is True
    assert on_disk(home)["run_counts"] == {"a": 50}
    assert on_disk(home)["last_run"] == {"a": 2.0}
    assert aside(home) == []


async def test_what_stays_broken_is_set_aside_and_said_and_nothing_of_ours_is_lost(home, clock):
    (home / NAME).write_text(UNKNOWN)
    owner = Owner(home, clock)
    (home / NAME).write_text("{ half")
    saving = asyncio.ensure_future(owner.saves("a", TaskState(2.0)))
    await until(lambda: clock.waiting, "the save waits")
    await clock.advance(SETTLED)
    assert await saving is True
    assert [path.read_text() for path in aside(home)] == ["{ half"]
    assert "could not be read" in owner.notes[0]
    saved = on_disk(home)
    assert saved["last_run"]["a"] == 2.0 and saved["last_run"]["retired_task"] == 1700000000.0
    assert saved["note"] == json.loads(UNKNOWN)["note"]
    owner.pool.shutdown()


async def test_a_file_that_keeps_changing_and_never_makes_sense_is_said_and_left_alone(owner, home, clock):
    await owner.saves("a", TaskState(1.0))
    (home / NAME).write_text("{ half")
    saving = asyncio.ensure_future(owner.saves("a", TaskState(2.0)))
    await until(lambda: clock.waiting, "the save waits")
    (home / NAME).write_text("{ half and more")
    await clock.advance(SETTLED)
    assert await saving is False
    assert "is being written by another program" in owner.store.unsaved
    assert aside(home) == []
    await clock.advance(SETTLED)
    await until(lambda: owner.store.unsaved == "", "in the end it is set aside")
    assert on_disk(home)["last_run"] == {"a": 2.0}


async def test_a_handler_waits_no_longer_than_a_second_for_a_writer_in_place(owner, home, clock):
    await owner.saves("a", TaskState(1.0))
    (home / NAME).write_text("{ half")
    owner.states["a"] = TaskState(2.0)
    written = asyncio.ensure_future(owner.store.written())
    await until(lambda: clock.waiting, "the start waits")
    (home / NAME).write_text("{ half and more")
    await clock.advance(SETTLED)
    assert await written is False
