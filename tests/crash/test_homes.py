"""Homes as they should not be: one line that says what, where and the fix; never a traceback."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.cli.main import main, run
from scheduler.storage.lock import acquire
from tests.crash.loops import STATE, Place, command, everything_in
from tests.each import each
from tests.fakes import until
from tests.ordinary_user import ORDINARY_USER
from tui.__main__ import monitor

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
    pytest.mark.timeout(60),
]

TICK = command("tick", "true", every="0.1s")


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    place.tasks(TICK)
    return place


@pytest.fixture
def call(place, monkeypatch, capsys):
    """The command line in this process: ten times as fast, and refused before anything runs."""

    def call(*flags: str) -> "subprocess.CompletedProcess[str]":
        for name, value in place.environment().items():
            monkeypatch.setenv(name, value)
        code = main(["--citizen", place.citizen, *flags])
        said = capsys.readouterr()
        return subprocess.CompletedProcess(flags, code, said.out, said.err)

    return call


def complaint(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line that a refused call leaves."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    lines = done.stderr.splitlines() or done.stdout.splitlines()
    assert len(lines) == 1 and lines[0].startswith("experience: "), (done.stdout, done.stderr)
    return lines[0]


@each("verb", [["--loop"], ["--force", "tick"], ["--wake"]])
def test_a_file_where_our_own_folder_should_be(place, call, verb):
    (place.home / ".experience").write_text("in the way")
    assert f"{place.home}/.experience: File exists; make {place.home} a folder you can write to" in complaint(
        call(*verb)
    )


@each("verb", [["--loop"], ["--force", "tick"], ["--status"]])
def test_a_state_file_that_cannot_be_read(place, call, verb):
    (place.home / STATE).mkdir(exist_ok=True)
    line = complaint(call(*verb))
    assert f"{place.home / STATE}: Is a directory; make it readable, nothing was changed" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a home away")
@each("verb", [["--loop"], ["--reset", "tick"], ["--wake"]])
def test_root_leaves_another_users_home_alone(place, call, verb):
    os.chown(place.home, ORDINARY_USER, ORDINARY_USER)
    before = everything_in(place.home)
    line = complaint(call(*verb))
    assert f"{place.home} belongs to user {ORDINARY_USER}, this is user 0" in line and "--own-as-root" in line
    assert everything_in(place.home) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a home away")
def test_root_owns_another_users_home_if_told_to_and_leaves_it_the_state(place):
    os.chown(place.home, ORDINARY_USER, ORDINARY_USER)
    done = place.call("--wake", "--background-only", "--own-as-root")
    assert (done.returncode, done.stderr) == (0, "")
    assert place.count("tick") == 1
    assert (place.home / STATE).stat().st_uid == ORDINARY_USER


@each("verb", [["--loop"], ["--status"], ["--force", "tick"]])
def test_an_unknown_citizen_is_named_with_the_nearest(place, call, verb):
    place.citizen = "opsu"
    assert "unknown citizen 'opsu': did you mean opus?" in complaint(call(*verb))
    assert not (place.root / "opsu").exists()


def test_an_unknown_task_is_named_with_the_nearest(call):
    assert "unknown task 'tik': did you mean tick?" in complaint(call("--force", "tik"))


@pytest.mark.parametrize("content", ["garbage", "[1, 2]", "", '{"wake_count": "many", "last_wake": {}}'])
def test_metadata_that_makes_no_sense_is_set_aside_at_the_next_wake(place, content):
    (place.home / "metadata.json").write_text(content)
    done = place.call("--wake")
    assert (done.returncode, done.stderr) == (0, "")
    metadata = json.loads((place.home / "metadata.json").read_text())
    assert metadata["wake_count"] == 1 and metadata["last_wake"].startswith("20")
    kept = list(place.home.glob("metadata.json.corrupt-*"))
    assert [path.read_text() for path in kept] == ([content] if content[:1] != "{" else [])


@pytest.mark.parametrize("name", ["metadata.json", "wake_log.json", ".experience/wake.json"])
def test_a_pipe_in_place_of_a_file_holds_nothing_up(place, name):
    (place.home / ".experience").mkdir(mode=0o700)
    os.mkfifo(place.home / name)
    done = place.call("--wake")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((place.home / "metadata.json").read_text())["wake_count"] == 1


@pytest.mark.parametrize("name", [f".{STATE}.saving", f".{STATE}.starting", ".metadata.json.partial"])
def test_a_pipe_where_a_file_is_written_first_holds_nothing_up(place, name):
    os.mkfifo(place.home / name)
    done = place.call("--wake")
    assert (done.returncode, done.stderr) == (0, "") and place.count("tick") == 1


def test_pipes_in_place_of_the_log_and_the_note_of_the_owner_hold_nothing_up(place):
    (place.home / ".experience").mkdir(mode=0o700)
    (place.home / "logs").mkdir()
    for name in ("logs/experience.log", ".experience/owner.json", ".experience/owner.partial"):
        os.mkfifo(place.home / name)
    assert place.call("--status").returncode == 0
    done = place.call("--wake", "--background-only")
    assert (done.returncode, done.stderr) == (0, "") and place.count("tick") == 1


@each("verb", [["--loop"], ["--status"], ["--force", "tick"]])
def test_a_pipe_in_place_of_the_state_file_is_said(place, call, verb):
    (place.home / STATE).unlink(missing_ok=True)
    os.mkfifo(place.home / STATE)
    assert f"{place.home / STATE}: is not a regular file; make it readable" in complaint(call(*verb))


def test_what_is_written_first_is_never_written_through_a_link(place):
    other = place.root / "other"
    other.write_text("of another program")
    for name in (f".{STATE}.saving", f".{STATE}.starting", ".metadata.json.partial"):
        (place.home / name).symlink_to(other)
    assert place.call("--wake").returncode == 0
    assert other.read_text() == "of another program"


def test_files_that_are_links_stay_links(place, monkeypatch, capsys):
    """A home kept in a repository of its own, its files linked from there (stow, chezmoi)."""
    kept = place.root / "kept"
    kept.mkdir()
    files = (STATE, "metadata.json", "wake_log.json", "experience.toml")
    place.tasks(TICK, more='[wake]\ncommand = ["true"]\n')
    for name in files:
        file = place.home / name
        (kept / name).write_text(file.read_text() if file.exists() else "{}")
        file.unlink(missing_ok=True)
        file.symlink_to(kept / name)
    assert place.call("--wake").returncode == 0
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    words = ["disable", "--config", str(place.config), "opus", "tick"]
    assert run(monitor, words, "experience-tui") == 0, capsys.readouterr().err
    assert [name for name in files if not (place.home / name).is_symlink()] == []
    for name, words in (
        (STATE, "last_run"),
        ("metadata.json", "last_wake"),
        ("wake_log.json", "wakes"),
        ("experience.toml", "enabled = false"),
    ):
        assert words in (kept / name).read_text(), name


def test_a_file_without_end_is_set_aside_unread(place):
    with (place.home / "wake_log.json").open("wb") as file:
        file.truncate(1 << 40)
    assert place.call("--wake").returncode == 0
    assert list(place.home.glob("wake_log.json.corrupt-*"))


def test_a_log_folder_that_cannot_be_written_stops_nothing(place):
    (place.home / "logs").write_text("in the way")
    done = place.call("--wake", "--background-only")
    assert (done.returncode, done.stderr) == (0, "")
    assert place.count("tick") == 1


async def test_a_state_file_that_cannot_be_understood_is_kept_and_said(place):
    (place.home / STATE).write_text("{ by hand")
    with place.loop():
        await until(lambda: list(place.home.glob(f"{STATE}.corrupt-*")) and place.count("tick"), "it runs")
    kept = list(place.home.glob(f"{STATE}.corrupt-*"))
    assert [path.read_text() for path in kept] == ["{ by hand"]
    assert "set aside" in place.log.read_text() and kept[0].name in place.log.read_text()


async def test_a_home_that_vanishes_while_we_run_is_said_and_survived(place):
    away = place.home.with_name("away")
    with place.loop() as loop:
        await until(lambda: place.count("tick"), "it runs")
        place.home.rename(away)
        await until(lambda: "state not saved" in place.log.read_text(), "it is said")
        before = json.loads((away / STATE).read_text())["run_counts"]["tick"]
        away.rename(place.home)
        await until(lambda: place.count("tick") > before, "it goes on")
        loop.terminate()
        await until(lambda: loop.poll() is not None, "it ends")
    assert loop.returncode == 0
    assert "Traceback" not in place.log.read_text()


# ------------------------------------------------------------------ a full disk


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 1 MiB, if this machine lets us: the kernel counts free pages in lots of 32."""
    argv = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(argv, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a file system here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_on_a_full_disk_tasks_go_on_it_is_said_and_saved_once_there_is_room(place):
    more = command("count", f"echo x >> {place.root}/counted", every="0.1s")
    with small_disk(place.home):
        place.tasks(more)
        with place.loop() as loop:
            await until(lambda: place.count("count"), "it runs")
            with (place.home / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(1024))
            await until(lambda: "No space left" in place.log.read_text(), "it is said")
            saved, ran = place.count("count"), len((place.root / "counted").read_text())
            await until(lambda: len((place.root / "counted").read_text()) > ran + 8, "tasks go on")
            assert place.count("count") == saved
            (place.home / "filler").unlink()
            await until(lambda: place.count("count") > saved + 4, "it is saved, and nothing is forgotten")
            loop.terminate()
            await until(lambda: loop.poll() is not None, "it ends")
        assert loop.returncode == 0
        assert place.count("count") == len((place.root / "counted").read_text()) / 2
        assert "Traceback" not in place.log.read_text()


async def test_with_a_full_disk_it_still_ends_well(place):
    with small_disk(place.home):
        place.tasks(TICK)
        with place.loop() as loop:
            await until(lambda: place.count("tick"), "it runs")
            with (place.home / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(1024))
            await until(lambda: "No space left" in place.log.read_text(), "it is said")
            loop.terminate()
            await until(lambda: loop.poll() is not None, "it ends")
        assert loop.returncode == 0
        assert place.count("tick") >= 1


def test_a_full_disk_is_no_reason_to_let_the_agent_sleep(place):
    wake = json.dumps(["sh", "-c", f"echo awake > {place.root}/woken"])
    with small_disk(place.home):
        place.tasks(more=f"[wake]\ncommand = {wake}\n")
        (place.home / ".experience").mkdir()
        with (place.home / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(1024))
        done = place.call("--wake")
    assert (place.root / "woken").read_text() == "awake\n"
    assert "opus/wake #1 ok" in done.stdout and "wake not recorded" in done.stdout
    assert done.stderr == ""


# ------------------------------------------------------------------ only looking


def test_status_takes_no_lock_and_changes_no_file(place):
    before = everything_in(place.root)
    assert place.call("--status").returncode == 0
    assert everything_in(place.root) == before


def test_status_with_an_owner_says_what_the_owner_saved_and_touches_nothing(place, call):
    (place.home / STATE).write_text('{"last_run": {"tick": 5.0}, "run_counts": {"tick": 3}}')
    ownership = acquire(place.home, 5.0)
    before = everything_in(place.root)
    status = call("--status")
    assert (status.returncode, status.stderr) == (0, "") and "(3 runs)" in status.stdout
    assert everything_in(place.root) == before
    ownership.release()


def test_status_of_a_broken_file_says_so_and_moves_nothing(place, call):
    (place.home / STATE).write_text("{ by hand")
    before = everything_in(place.root)
    status = call("--status")
    broken, unowned = status.stderr.splitlines()
    assert "cannot be read" in broken and "no process runs opus" in unowned
    assert everything_in(place.root) == before


def test_an_owner_is_named_to_whoever_wants_to_act_beside_it(place, call):
    ownership = acquire(place.home, 5.0)
    for verb in (["--loop"], ["--force", "tick"], ["--reset", "tick"], ["--wake"]):
        assert f"opus is owned by pid {os.getpid()}" in complaint(call(*verb))
    done = place.call("--loop")
    assert f"opus is owned by pid {os.getpid()}" in complaint(done)
    ownership.release()
