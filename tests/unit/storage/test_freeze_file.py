"""Freezes as files: private, whole, the last writer wins, and what cannot be read freezes, to be safe."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from scheduler.core.schedules.freeze import Freeze, FreezeNote, Freezes, Span
from scheduler.storage import freeze_file
from scheduler.storage.freeze_file import FreezeFile, HomeFreezes
from scheduler.system import foreign_home
from tests.fakes import NOON

BY_CT = Freeze(NOON, NOON + 60, "ct", "invoices")


@pytest.fixture
def file(home: Path) -> FreezeFile:
    return FreezeFile(home / ".experience" / "freeze.json")


def garble(file: FreezeFile, content: str) -> None:
    file.path.parent.mkdir(exist_ok=True)
    file.path.write_text(content)


def test_what_is_written_is_read_and_private(file):
    assert file.read(NOON) == (FreezeNote(), "") and file.stamp() is None
    file.freeze(BY_CT)
    assert file.read(NOON) == (FreezeNote(BY_CT), "")
    assert file.path.stat().st_mode & 0o777 == 0o600 and file.path.parent.stat().st_mode & 0o777 == 0o700
    file.thaw(NOON + 30)
    assert file.read(NOON) == (FreezeNote(None, (Span(NOON, NOON + 30),)), "")
    assert [each.name for each in file.path.parent.iterdir()] == ["freeze.json"]


def test_a_file_of_any_length_is_read_in_no_time_and_freezes(file):
    garble(file, '{"past": [' + '{"since": 1, "until": 2},' * 50_000 + '{"since": 1, "until": 2}]}')
    note, problem = file.read(NOON)
    assert note.last and note.last.problem and "is longer than 64 KiB: to be safe nothing is" in problem
    file.thaw(NOON)
    assert file.read(NOON) == (FreezeNote(), "")


def test_what_is_kept_is_never_too_long_to_be_read(file):
    for hour in range(60):
        file.freeze(Freeze(NOON + 2 * hour, None, "\x1b" * 99, "\U0001f600" * 999))
        file.thaw(NOON + 2 * hour + 1.123456789)
    file.freeze(Freeze(NOON + 999, None, "\x1b" * 99, "\U0001f600" * 999))
    note, problem = file.read(NOON + 1000)
    assert not problem and note.last and len(note.last.why) == 300


def test_a_thaw_of_what_is_not_frozen_writes_nothing(file):
    file.path.parent.mkdir()
    file.thaw(NOON)
    assert not file.path.exists()


def test_a_home_that_is_gone_does_not_come_back(file, home):
    home.rmdir()
    with pytest.raises(FileNotFoundError):
        file.freeze(BY_CT)
    assert not home.exists()


def test_what_cannot_be_read_freezes_and_a_thaw_repairs_it(file):
    for content in (
        "",
        "{",
        "[]",
        '{"last": 3}',
        '{"last": {"since": "noon"}}',
        '{"last": {"since": 9, "until": 8}}',
        '{"last": {"since": 1e300}}',
        '{"past": [{"since": 9, "until": 8}]}',
        "[" * 100_000,
    ):
        garble(file, content)
        note, problem = file.read(NOON)
        assert note.last.holds(NOON + 1e9) and note.last.problem == problem, content
        assert (
            problem.startswith(str(file.path))
            and "to be safe nothing is started until it is thawed" in problem
        )
        file.thaw(NOON + 1)
        assert file.read(NOON + 1)[0].last is None, content


def test_a_folder_or_a_pipe_in_its_place_freezes(file):
    file.path.mkdir(parents=True)
    assert file.read(NOON)[0].last
    file.path.rmdir()
    os.mkfifo(file.path)
    assert file.read(NOON)[0].last and file.stamp()


def test_what_another_user_wrote_is_not_believed(file, monkeypatch):
    file.freeze(BY_CT)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    note, problem = file.read(NOON)
    assert note == FreezeNote() and problem == f"{file.path}: is another user's; remove it"
    known = FreezeFile(file.path, users=frozenset({file.path.stat().st_uid}))
    assert known.read(NOON) == (FreezeNote(BY_CT), "")


def test_text_is_bounded_whoever_wrote_it(file):
    file.freeze(Freeze(NOON, None, "c" * 999, "w" * 999))
    assert (len(file.read(NOON)[0].last.by), len(file.read(NOON)[0].last.why)) == (60, 300)
    garble(file, json.dumps({"last": {"since": NOON, "why": "w" * 999, "problem": "x", "together": True}}))
    last = file.read(NOON)[0].last
    assert (len(last.why), last.problem, last.together) == (300, "", False)


def test_of_many_who_write_at_once_one_wins_and_the_file_is_whole(file, monkeypatch):
    """Without a lock: a partial file that two share was renamed half written."""
    monkeypatch.setattr("scheduler.storage.freeze_file._lock", lambda descriptor: None)
    begin, broken = threading.Barrier(4), []

    def write(number: int) -> None:
        begin.wait()
        for turn in range(25):
            if turn % 3:
                file.freeze(Freeze(NOON + turn, None, f"user {number}", "w" * 200))
            else:
                file.thaw(NOON + turn)
            broken.extend(problem for _, problem in [file.read(NOON)] if problem)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == [] and file.read(NOON)[1] == ""
    assert [each.name for each in file.path.parent.iterdir()] == ["freeze.json"]


def test_two_who_change_it_lose_no_freeze_that_is_over(file):
    def write(number: int) -> None:
        for turn in range(10):
            at = NOON + 100 * turn + 10 * number
            file.freeze(Freeze(at))
            file.thaw(at + 5)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read(NOON + 1e4)[0].last is None


def test_a_write_that_dies_half_way_leaves_the_old_one(file, monkeypatch):
    file.freeze(BY_CT)

    def dies(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(foreign_home.Place, "replace", dies)
    with pytest.raises(OSError, match="No space"):
        file.thaw(NOON + 1)
    assert file.read(NOON) == (FreezeNote(BY_CT), "")


def test_both_files_of_a_citizen_are_read_only_when_they_change(home, monkeypatch):
    both = HomeFreezes(home)
    assert both.read(NOON) == Freezes() and both.root.path == home.parent / ".experience" / "freeze.json"
    both.own.freeze(BY_CT)
    assert both.own_differs() and both.read(NOON).now(NOON) == BY_CT and not both.own_differs()
    monkeypatch.setattr(freeze_file, "read_file", lambda *_, **__: pytest.fail("read again"))
    assert both.read(NOON).own.last == BY_CT
    monkeypatch.undo()
    both.root.freeze(Freeze(NOON + 1, None, "mk"))
    assert both.read(NOON).now(NOON) == Freeze(NOON + 1, None, "mk", together=True)


TURNS = """
import sys
from pathlib import Path
from scheduler.core.schedules.freeze import Freeze
from scheduler.storage.freeze_file import HomeFreezes
files = HomeFreezes(Path(sys.argv[1])).root
for turn in range(40):
    files.freeze(Freeze(1.8e9 + turn, None, sys.argv[2], "x" * 100)) if turn % 2 else files.thaw(1.8e9 + turn)
"""


def test_two_processes_that_freeze_and_thaw_all_citizens_at_once_leave_a_whole_file(tmp_path):
    """Whoever reads meanwhile sees one of the two or none, and the last word counts."""
    (tmp_path / "opus").mkdir()
    argv = [sys.executable, "-c", TURNS, str(tmp_path / "opus")]
    both = [subprocess.Popen([*argv, name], cwd=Path(__file__).parents[3]) for name in ("ct", "mk")]
    files, seen = HomeFreezes(tmp_path / "opus"), set()
    while any(each.poll() is None for each in both):
        found = files.read(1.8e9 + 1000)
        assert found.problems == ()
        seen.add(found.root.last.by if found.root.last else "")
    assert [each.returncode for each in both] == [0, 0]
    assert seen <= {"", "ct", "mk"} and files.read(1.8e9 + 1000).root.last is not None
    files.root.thaw(1.8e9 + 1000)
    assert HomeFreezes(tmp_path / "opus").read(1.8e9 + 1001).now(1.8e9 + 1001) is None
