"""Histories written by another process: the same rows, the same refusals, and an end with its owner."""

import fcntl
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from scheduler.core.records import FinishedRun
from scheduler.core.task import Retention
from scheduler.storage import history_reader as history
from scheduler.storage.history_file import OPEN, Answer, HistoryFile, Row
from scheduler.storage.history_process import NICE, PIECE, PIPE, HistoryProcess, NoProcess, pack, unpack
from tests.unit.storage.test_history import BAD, FINE, listed, texts, written

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals, sessions and /proc")


FOREVER = Retention()


@pytest.fixture
def process():
    process = HistoryProcess()
    yield process
    process.close()


def add(
    process: HistoryProcess, home: Path, runs: Sequence[FinishedRun], keep: Retention = FOREVER
) -> Answer:
    """What the process says of one home."""
    ((answer,),) = process.add([Row(os.fsencode(home), keep, run) for run in runs])
    assert (answer.home, answer.runs) == (os.fsencode(home), len(runs))
    return answer


def test_it_writes_what_a_file_would(tmp_path, process):
    runs = [FINE, BAD, BAD._replace(trigger=None, attempt=3), FINE._replace(text="\udc80 \x00 ☂")]
    runs += [each._replace(output=written("half way ☂".encode())) for each in (FINE, BAD)]
    homes = [tmp_path / "here", tmp_path / "there"]
    for home in homes:
        home.mkdir()
    file = HistoryFile(homes[0])
    assert file.add(runs, Retention()) is None
    assert add(process, homes[1], runs) == Answer(os.fsencode(homes[1]), len(runs))
    file.close()
    here, there = ([*listed(home), *(history.output(home, run) for run in range(1, 7))] for home in homes)
    assert here == there


def test_however_many_they_are_they_come_in_order(home, process):
    add(process, home, [FINE._replace(text=str(n)) for n in range(3 * PIECE + 1)])
    assert texts(home, limit=1000)[::-1] == [str(n) for n in range(3 * PIECE + 1)]


def test_old_runs_are_forgotten_as_the_settings_say(home, process):
    for _ in range(10):
        add(process, home, [FINE] * 50, Retention(runs=20))
    assert len(listed(home, limit=1000)) < 150


def test_what_cannot_be_written_is_said_as_a_file_says_it(home, process):
    (home / "runs.db").mkdir()
    assert add(process, home, [FINE]).refused == f"{home}/runs.db: Is a directory"
    (home / "runs.db").rmdir()
    add(process, home, [FINE])
    assert len(listed(home)) == 1


def test_a_damaged_history_is_moved_aside(home, process):
    (home / "runs.db").write_text("these are no runs")
    aside = Path(os.fsdecode(add(process, home, [FINE]).aside))
    assert aside.read_text() == "these are no runs" and len(listed(home)) == 1


def test_runs_that_are_too_old_are_forgotten(home, process):
    add(process, home, [FINE])
    add(process, home, [FINE._replace(finished=FINE.finished + 1000, text="new")], Retention(20, 100.0))
    assert texts(home) == ["new"]


def test_it_stands_behind_what_has_to_be_on_time_and_away_from_ctrl_c(process):
    pid = process._child.pid
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(os.getpriority(os.PRIO_PROCESS, 0) + NICE, 19)
    assert os.getsid(pid) == pid != os.getsid(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_does_not_end_it_before_its_owner(home, process, number):
    add(process, home, [FINE])
    process._child.send_signal(number)
    add(process, home, [FINE])
    assert len(listed(home)) == 2


def test_one_that_was_killed_before_has_written_nothing(home, process):
    process._child.kill()
    process._child.wait()
    with pytest.raises(NoProcess):
        add(process, home, [FINE])
    process.shut(os.fsencode(home))
    assert not listed(home)


def test_where_none_can_begin_that_is_said(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    with pytest.raises(NoProcess, match="No such file or directory"):
        HistoryProcess()


def test_one_that_cannot_begin_is_told_from_one_that_can(monkeypatch):
    monkeypatch.setattr("scheduler.storage.history_process._BEGIN", "print('hello')")
    with pytest.raises(NoProcess, match="it ended with status 0"):
        HistoryProcess()


def test_it_finds_what_its_owner_finds_and_nothing_else(home, tmp_path, monkeypatch):
    """Neither what the environment names nor what lies in the working folder has a say."""
    (tmp_path / "sqlite3.py").write_text("raise SystemExit(7)")
    (tmp_path / "sitecustomize.py").write_text("print('hello')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    process = HistoryProcess()
    add(process, home, [FINE])
    process.close()
    assert len(listed(home)) == 1


def test_what_is_packed_already_is_written_beside_what_is_not_and_in_order(home, process):
    place = os.fsencode(home)
    rows = [Row(place, Retention(), FINE._replace(text=str(n), output=written(b"x" * n))) for n in range(10)]
    list(process.add([row if n % 3 else pack(*row) for n, row in enumerate(rows)]))
    assert texts(home)[::-1] == [str(n) for n in range(10)]
    assert [history.output(home, n + 1) for n in range(1, 10)] == ["x" * n for n in range(1, 10)]


def test_what_is_packed_is_the_same_again():
    row = Row(b"/homes/\xff", Retention(7, 8.5), BAD._replace(attempt=3))
    packed = unpack(pack(*row))
    assert packed._replace(run=packed.run._replace(output=None)) == row
    assert unpack(pack(*row._replace(run=FINE._replace(trigger=None)))).run.trigger is None


def test_the_runs_of_many_homes_are_answered_a_few_homes_at_a_time(tmp_path, process):
    homes = [tmp_path / f"c{n}" for n in range(2 * OPEN + 1)]
    for home in homes[1:]:
        home.mkdir()
    answers = list(process.add([Row(os.fsencode(home), Retention(), FINE) for home in homes * 2]))
    assert [len(each) for each in answers] == [OPEN, OPEN, 1]
    (missing, *others) = [answer for each in answers for answer in each]
    assert missing.refused == f"{homes[0]}/runs.db: No such file or directory"
    assert others == [Answer(os.fsencode(home), 2) for home in homes[1:]]
    assert all(len(listed(home)) == 2 for home in homes[1:])


def test_of_many_homes_those_that_were_not_answered_are_missing(tmp_path, process):
    places = [os.fsencode(tmp_path / f"c{n}") for n in range(OPEN + 2)]
    for place in places:
        os.mkdir(place)  # noqa: PTH102 # a path as the system has it
    answers = process.add([Row(place, Retention(), FINE) for place in places for _ in range(3)])
    first = next(answers)
    process._child.kill()
    process._child.wait()
    process._answers.read()  # what it had said already, and nobody heard
    (rest,) = answers
    assert [answer.home for answer in (*first, *rest)] == places
    why = "the process that writes histories was killed by signal 9"
    assert [answer[1:3] for answer in rest] == [
        (3, f"{os.fsdecode(place)}: {why}") for place in places[OPEN:]
    ]
    assert not any(answer.refused for answer in first)


def test_it_takes_much_at_once_before_it_has_read_any(process):
    assert fcntl.fcntl(process._questions, fcntl.F_GETPIPE_SZ) == PIPE


def test_one_that_hangs_is_not_waited_for_for_ever(home, process, monkeypatch):
    monkeypatch.setattr("scheduler.storage.history_process.PATIENCE", 0.1)
    process._child.send_signal(signal.SIGSTOP)
    assert process.close() == "hangs"
    assert process._child.wait(10) == -signal.SIGKILL


def test_much_output_is_never_more_than_what_it_takes(tmp_path, home, process):
    """No text of four bytes a character, and no copy of it that waits."""
    many = [FINE._replace(output=written(("☂" * 20_000 + "🎉").encode())) for _ in range(60)]
    before = high_water(process)
    add(process, home, many)
    assert history.output(home, 60).endswith("☂🎉")
    assert high_water(process) - before < 12 << 20


def high_water(process: HistoryProcess) -> int:
    """The most bytes that it ever had in memory."""
    lines = Path(f"/proc/{process._child.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def test_what_is_shut_or_closed_is_open_nowhere(home, process):
    add(process, home, [FINE])
    assert (home / "runs.db-wal").exists()
    process.shut(os.fsencode(home))
    assert [path.name for path in home.glob("runs.db*")] == ["runs.db"]
    add(process, home, [FINE])
    child = process._child
    process.close()
    assert child.returncode == 0
    assert [path.name for path in home.glob("runs.db*")] == ["runs.db"]
    process.shut(os.fsencode(home))  # nothing is open any more: nothing happens
    assert process.close() == "ended with status 0"
