"""A process is not a later one with the same pid, and a zombie is not alive."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from scheduler.process import process_info as facts
from scheduler.process.process_info import Running
from tests.each import each


@pytest.fixture(params=["proc", "psutil"])
def source(request, monkeypatch):
    monkeypatch.setattr(facts, "LINUX", request.param == "proc" and sys.platform == "linux")


@pytest.mark.usefixtures("source")
def test_a_process_is_itself_until_it_is_dead():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        born = facts.born(process.pid)
        assert born is not None and born == facts.born(process.pid)
        running = Running(process.pid, born, 0.0)
        assert facts.alive(running)
        assert not facts.alive(replace(running, born=born - 100))
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not facts.alive(running), "a zombie"
    assert not facts.alive(running)
    assert facts.born(process.pid) is None


@pytest.mark.usefixtures("source")
@each("pid", [0, -1, 2**31 - 1])
def test_nonsense_is_no_process(pid):
    assert facts.born(pid) is None
    assert not facts.alive(Running(pid, 0.0, 0.0))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_name_with_brackets_and_blanks_is_read_past(tmp_path):
    (tmp_path / "a) R (b").symlink_to("/bin/cat")
    with subprocess.Popen([tmp_path / "a) R (b"], stdin=subprocess.PIPE) as process:
        found = facts.stat(process.pid)
        process.kill()
    own = facts.stat(os.getpid())
    assert found and own and found.group == own.group and found.born >= own.born
