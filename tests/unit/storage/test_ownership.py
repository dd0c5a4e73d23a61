"""One owner per home: the lock decides, the note beside it only says who it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.errors import Owned, Unreadable
from scheduler.process.process_info import BOOT, Running, born
from scheduler.storage.lock import FOLDER, OWNER, acquire, owner_of, owning
from tests.each import each
from tests.fakes import NOON
from tests.ordinary_user import ORDINARY_USER, home_of_an_ordinary_user, ordinary_user


def note(home: Path) -> Path:
    return home / FOLDER / OWNER


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in (folder, *folder.rglob("*"))
    }


def test_the_owner_is_named_while_it_owns_and_not_after(home):
    ownership = acquire(home, NOON)
    assert owner_of(home) == Running(os.getpid(), born(os.getpid()), NOON, BOOT)
    ownership.release()
    assert owner_of(home) is None


def test_there_is_one_owner_and_the_refusal_names_it(home):
    with owning(home, NOON), pytest.raises(Owned, match=f"opus is owned by pid {os.getpid()}; end that one"):
        acquire(home, NOON)
    acquire(home, NOON).release()


def test_a_refused_second_owner_leaves_the_note_of_the_first(home):
    with owning(home, NOON):
        for _ in range(3):
            with pytest.raises(Owned):
                acquire(home, NOON + 5)
        assert owner_of(home).since == NOON


def test_the_machines_of_a_shared_home_lock_it_each_for_itself_and_the_note_is_whose_signed_last(home):
    one, other = acquire(home, NOON, machine="m1"), acquire(home, NOON, machine="m2")
    with pytest.raises(Owned):
        acquire(home, NOON, machine="m1")
    assert owner_of(home) is None
    one.sign(home, NOON, "loop")
    note(home).write_text(note(home).read_text().replace(BOOT, "another machine's"))  # which took over
    for owner in (one, other):
        owner.release()
    assert note(home).exists()


def test_what_is_ours_is_closed_to_others(home):
    with owning(home, NOON):
        assert (home / FOLDER).stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in (home / FOLDER).iterdir()} == {0o600}


def test_the_lock_dies_with_its_owner_and_its_leftovers_do_no_harm(home):
    script = (
        "import os, signal, sys; from pathlib import Path; from scheduler.storage.lock import acquire\n"
        "kept = acquire(Path(sys.argv[1]), 5.0); os.kill(os.getpid(), signal.SIGKILL)"
    )
    dead = subprocess.run([sys.executable, "-c", script, str(home)], cwd=Path(__file__).parents[3])
    assert dead.returncode == -9
    assert note(home).exists() and (home / FOLDER / "lock").exists()
    assert owner_of(home) is None
    with owning(home, NOON):
        assert owner_of(home).pid == os.getpid()


def test_a_note_about_a_pid_that_somebody_else_has_now_is_stale(home):
    (home / FOLDER).mkdir()
    note(home).write_text(json.dumps({"pid": os.getpid(), "born": born(os.getpid()) - 1, "since": 1.0}))
    assert owner_of(home) is None


@each("content", ["", "[]", "{}", "[" * 50_000, '{"pid": 1e400}', '{"pid": "x"}', "\ufffd", '{"pid": 1}'])
def test_a_note_that_makes_no_sense_is_no_owner_and_no_hindrance(home, content):
    (home / FOLDER).mkdir()
    note(home).write_text(content)
    assert owner_of(home) is None
    with owning(home, NOON):
        assert owner_of(home).pid == os.getpid()


def test_asking_who_owns_a_home_leaves_no_trace(home):
    before = tree(home)
    assert owner_of(home) is None
    assert tree(home) == before


def test_a_home_that_is_not_there_is_said_in_a_line(tmp_path):
    with pytest.raises(Unreadable, match=r"nowhere: No such file or directory; make .*/nowhere a folder"):
        acquire(tmp_path / "nowhere", NOON)


def test_a_file_where_our_folder_should_be_is_said_in_a_line(home):
    (home / FOLDER).write_text("in the way")
    with pytest.raises(Unreadable, match=r"opus/\.experience: File exists; make .*/opus a folder"):
        acquire(home, NOON)
    assert (home / FOLDER).read_text() == "in the way"


def test_a_folder_where_the_lock_should_be_is_said_in_a_line(home):
    (home / FOLDER / "lock").mkdir(parents=True)
    with pytest.raises(Unreadable, match=r"opus/\.experience/lock: Is a directory"):
        acquire(home, NOON)


def test_a_home_that_cannot_be_written_to_is_said_in_a_line():
    with home_of_an_ordinary_user() as home, ordinary_user():
        home.chmod(0o500)
        with pytest.raises(Unreadable, match=r"Permission denied; make .*/opus a folder you can write to"):
            acquire(home, NOON)


def test_a_note_that_cannot_be_written_is_no_reason_not_to_own(home):
    note(home).mkdir(parents=True)
    with owning(home, NOON), pytest.raises(Owned, match="another process"):
        acquire(home, NOON)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has homes of others at hand")
def test_root_owns_the_homes_of_others_only_with_the_option():
    with home_of_an_ordinary_user() as home:
        with pytest.raises(Owned, match=f"belongs to user {ORDINARY_USER}, this is user 0: .*--own-as-root"):
            acquire(home, NOON)
        assert list(home.iterdir()) == []
        with owning(home, NOON, as_root=True):
            assert owner_of(home).pid == os.getpid()


def test_an_ordinary_user_never_owns_anothers_home():
    with ordinary_user(), pytest.raises(Owned, match="/ belongs to user 0, this is user"):
        acquire(Path("/"), NOON, as_root=True)


OWNER_OF_MANY = """
import sys
from pathlib import Path
from scheduler.errors import Owned
from scheduler.storage.lock import acquire
import filelock
kept = []
for number, line in enumerate(sys.stdin):
    try:
        kept.append(acquire(Path(line.strip()), 5.0))
        print("mine", flush=True)
    except Owned as error:
        print("theirs", flush=True)
"""


@pytest.mark.timeout(60)
def test_of_owners_that_start_at_the_same_instant_there_is_exactly_one(tmp_path):
    root = Path(__file__).parents[3]
    four = [
        subprocess.Popen(
            [sys.executable, "-c", OWNER_OF_MANY],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        for number in range(100):
            home = tmp_path / f"home{number}"
            home.mkdir()
            for each in four:
                each.stdin.write(f"{home}\n")
            for each in four:
                each.stdin.flush()
            assert sorted(each.stdout.readline().strip() for each in four) == ["mine"] + ["theirs"] * 3
    finally:
        for each in four:
            each.communicate(timeout=20)
