"""Histories written by another process: the same rows, the same refusals, and an end with its owner."""

import os
import signal
import sys

import pytest

from scheduler import history
from scheduler.history_file import HistoryFile, NotRecorded
from scheduler.history_process import NICE, PIECE, HistoryProcess
from scheduler.model import Keep, Outcome

from .test_history import BAD, FINE, listed, texts, written

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and sessions")


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


def test_it_begins_with_the_first_runs_behind_what_has_to_be_on_time(home, process):
    assert process._child is None
    process.add(home, [FINE], Keep())
    pid = process._child.process.pid
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(os.getpriority(os.PRIO_PROCESS, 0) + NICE, 19)
    assert os.getsid(pid) == pid != os.getsid(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_does_not_end_it_before_its_owner(home, process, number):
    process.add(home, [FINE], Keep())
    process._child.process.send_signal(number)
    process.add(home, [FINE], Keep())
    assert len(listed(home)) == 2


def test_one_that_was_killed_is_said_and_the_next_runs_have_another(home, process):
    process.add(home, [FINE], Keep())
    process._child.process.kill()
    with pytest.raises(NotRecorded, match="the process that writes histories was killed by signal 9"):
        process.add(home, [FINE], Keep())
    process.add(home, [BAD], Keep())
    assert [run.outcome for run in listed(home)] == [Outcome.FAILED, Outcome.OK]


def test_where_none_can_begin_that_is_the_reason(home, process, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    with pytest.raises(NotRecorded, match=r"^no process to write histories: No such file or directory$"):
        process.add(home, [FINE], Keep())


def test_what_is_shut_or_closed_is_open_nowhere(home, process):
    process.add(home, [FINE], Keep())
    assert (home / "runs.db-wal").exists()
    process.shut(home)
    assert [path.name for path in home.glob("runs.db*")] == ["runs.db"]
    process.add(home, [FINE], Keep())
    child = process._child.process
    process.close()
    assert child.returncode == 0 and process._child is None
    assert [path.name for path in home.glob("runs.db*")] == ["runs.db"]
    process.shut(home)  # nothing is open any more: nothing happens
