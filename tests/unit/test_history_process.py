"""Histories written by another process: the same rows, the same refusals, and an end with its owner."""

import os
import signal
import sys
from pathlib import Path

import pytest

from scheduler import history
from scheduler.history_file import HistoryFile, NotRecorded
from scheduler.history_process import NICE, PIECE, HistoryProcess, NoProcess
from scheduler.model import Keep

from .test_history import BAD, FINE, listed, texts, written

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals, sessions and /proc")


@pytest.fixture
def process():
    process = HistoryProcess()
    yield process
    process.close()


def test_it_writes_what_a_file_would(tmp_path, process):
    runs = [FINE, BAD, BAD._replace(trigger=None, attempt=3), FINE._replace(text="\udc80 \x00 ☂")]
    runs += [each._replace(output=written("half way ☂".encode())) for each in (FINE, BAD)]
    homes = [tmp_path / "here", tmp_path / "there"]
    for home in homes:
        home.mkdir()
    file = HistoryFile(homes[0])
    assert file.add(runs, Keep()) is process.add(homes[1], runs, Keep()) is None
    file.close()
    here, there = ([*listed(home), *(history.output(home, run) for run in range(1, 7))] for home in homes)
    assert here == there


def test_however_many_they_are_they_come_in_order(home, process):
    process.add(home, [FINE._replace(text=str(n)) for n in range(3 * PIECE + 1)], Keep())
    assert texts(home, limit=1000)[::-1] == [str(n) for n in range(3 * PIECE + 1)]


def test_old_runs_are_forgotten_as_the_settings_say(home, process):
    for _ in range(10):
        process.add(home, [FINE] * 50, Keep(runs=20))
    assert len(listed(home, limit=1000)) < 150


def test_what_cannot_be_written_is_said_as_a_file_says_it(home, process):
    (home / "runs.db").mkdir()
    with pytest.raises(NotRecorded, match=f"^{home}/runs.db: Is a directory$"):
        process.add(home, [FINE], Keep())
    (home / "runs.db").rmdir()
    process.add(home, [FINE], Keep())
    assert len(listed(home)) == 1


def test_a_damaged_history_is_moved_aside(home, process):
    (home / "runs.db").write_text("these are no runs")
    aside = process.add(home, [FINE], Keep())
    assert aside and aside.read_text() == "these are no runs" and len(listed(home)) == 1


def test_runs_that_are_too_old_are_forgotten(home, process):
    process.add(home, [FINE], Keep())
    process.add(home, [FINE._replace(finished=FINE.finished + 1000, text="new")], Keep(20, 100.0))
    assert texts(home) == ["new"]


def test_it_stands_behind_what_has_to_be_on_time_and_away_from_ctrl_c(process):
    pid = process._child.pid
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(os.getpriority(os.PRIO_PROCESS, 0) + NICE, 19)
    assert os.getsid(pid) == pid != os.getsid(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_does_not_end_it_before_its_owner(home, process, number):
    process.add(home, [FINE], Keep())
    process._child.send_signal(number)
    process.add(home, [FINE], Keep())
    assert len(listed(home)) == 2


def test_one_that_was_killed_before_has_written_nothing(home, process):
    process._child.kill()
    process._child.wait()
    with pytest.raises(NoProcess):
        process.add(home, [FINE], Keep())
    process.shut(home)
    assert not listed(home)


def test_where_none_can_begin_that_is_said(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    with pytest.raises(NoProcess, match="No such file or directory"):
        HistoryProcess()


def test_one_that_cannot_begin_is_told_from_one_that_can(monkeypatch):
    monkeypatch.setattr("scheduler.history_process._BEGIN", "print('hello')")
    with pytest.raises(NoProcess, match="it ended with status 0"):
        HistoryProcess()


def test_it_finds_what_its_owner_finds_and_nothing_else(home, tmp_path, monkeypatch):
    """Neither what the environment names nor what lies in the working folder has a say."""
    (tmp_path / "sqlite3.py").write_text("raise SystemExit(7)")
    (tmp_path / "sitecustomize.py").write_text("print('hello')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    process = HistoryProcess()
    process.add(home, [FINE], Keep())
    process.close()
    assert len(listed(home)) == 1


def test_a_home_is_where_its_owner_sees_it(tmp_path, process, monkeypatch):
    (tmp_path / "elsewhere" / "opus").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    process.add(Path("opus"), [FINE], Keep())
    assert len(listed(tmp_path / "elsewhere" / "opus")) == 1


def test_one_that_hangs_is_not_waited_for_for_ever(home, process, monkeypatch):
    monkeypatch.setattr("scheduler.history_process.PATIENCE", 0.1)
    process._child.send_signal(signal.SIGSTOP)
    assert process.close() == "hangs"
    assert process._child.wait(10) == -signal.SIGKILL


def test_much_output_is_never_more_than_what_it_takes(tmp_path, home, process):
    """No text of four bytes a character, and no copy of it that waits."""
    many = [FINE._replace(output=written(("☂" * 20_000 + "🎉").encode())) for _ in range(60)]
    before = high_water(process)
    process.add(home, many, Keep())
    assert history.output(home, 60).endswith("☂🎉")
    assert high_water(process) - before < 12 << 20


def high_water(process: HistoryProcess) -> int:
    """The most bytes that it ever had in memory."""
    lines = Path(f"/proc/{process._child.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def test_what_is_shut_or_closed_is_open_nowhere(home, process):
    process.add(home, [FINE], Keep())
    assert (home / "runs.db-wal").exists()
    process.shut(home)
    assert [path.name for path in home.glob("runs.db*")] == ["runs.db"]
    process.add(home, [FINE], Keep())
    child = process._child
    process.close()
    assert child.returncode == 0
    assert [path.name for path in home.glob("runs.db*")] == ["runs.db"]
    process.shut(home)  # nothing is open any more: nothing happens
    assert process.close() == "ended with status 0"
