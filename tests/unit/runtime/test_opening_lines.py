"""The first lines of a loop, and the last ones of a monitor."""

from dataclasses import replace

import pytest

from scheduler.core.ports import FleetOptions, HandedOver
from scheduler.core.views import Snapshot, TaskStatus, TaskView
from scheduler.errors import Owned
from scheduler.runtime.closing_lines import closing_lines
from scheduler.runtime.headless import run_headless
from scheduler.runtime.opening_lines import opening
from scheduler.system.version import VERSION
from tests.fakes import NOON


@pytest.fixture(autouse=True)
def outside_screen(monkeypatch):
    monkeypatch.delenv("STY", raising=False)


def citizen(name: str, *due: float | None, owner: str = "") -> Snapshot:
    rows = [TaskView(f"task{number}", TaskStatus.OK, "1h", due=when) for number, when in enumerate(due)]
    return Snapshot(name, tuple(rows), owner=owner)


def test_a_loop_says_what_it_is_what_it_runs_and_what_comes_next():
    found = [citizen("opus", None, NOON + 61, NOON + 600), citizen("mira", NOON + 3600)]
    head, runs, leave = opening("/home", found, NOON)
    assert head == f"Experience {VERSION}, root /home"
    assert runs == "running opus (3 tasks), mira (1): next task1@opus in 2m"
    assert leave == "to end it: ./run.sh down opus mira"


def test_what_is_due_is_next_now_and_what_another_process_runs_is_no_surprise():
    found = [citizen("opus", NOON), citizen("mira", NOON, owner="pid 4711")]
    _, runs, other, _ = opening("/home", found, NOON)
    assert runs == "running opus (1 task): next task0@opus now"
    assert other == "mira runs elsewhere already: pid 4711"


def test_on_a_terminal_it_says_the_key_and_in_screen_the_other_one(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert list(opening("/home", [citizen("opus")], NOON))[-1] == "ctrl+c stops it"
    monkeypatch.setenv("STY", "1.experience_opus")
    assert (
        list(opening("/home", [citizen("opus")], NOON))[-1] == "ctrl+c stops it; ctrl+a d leaves it running"
    )


def test_many_citizens_are_counted():
    runs = list(opening("/home", [citizen(f"c{number}") for number in range(12)], NOON))[1]
    assert runs.endswith("c9 (0) and 2 more")


def test_a_monitor_says_what_goes_on_and_what_does_not():
    owners = {"opus": "here", "mira": "here", "aria": "pid 4711", "echo": ""}
    owned = ["opus", "mira"]
    assert list(closing_lines(owned, owners)) == [
        "stopped: opus, mira; ./run.sh up runs them again",
        "aria goes on (pid 4711)",
    ]
    kept = HandedOver(5120, ("opus", "mira"))
    on, _ = closing_lines(owned, owners, kept)
    assert on == "opus, mira go on in the background (pid 5120); ./run.sh down stops them"
    failed = replace(kept, passed=("opus",), kept={"mira": "tasks.x: \x1b[31munknown key"})
    *lines, _ = closing_lines(owned, owners, failed)
    assert lines == [
        "opus goes on in the background (pid 5120); ./run.sh down stops it",
        "mira was not handed over: tasks.x: \\x1b[31munknown key",
        "stopped: mira; ./run.sh up runs it again",
    ]
    assert list(closing_lines([], {"aria": ""})) == []


def test_where_every_citizen_has_mistakes_each_is_said_once_and_none_is_called_running(tmp_path, capsys):
    for name in ("mira", "opus"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "experience.toml").write_text("[tasks.x]\nevery = 'often'\n")
    (tmp_path / "main.toml").write_text(f"root = '{tmp_path}'\n")
    with pytest.raises(Owned, match="no citizen can run here; the log says why"):
        run_headless(FleetOptions(config=tmp_path / "main.toml"))
    printed = capsys.readouterr().out
    assert "running" not in printed and "to end it" in printed
    assert [printed.count(f"{name}/experience.toml: tasks.x.every") for name in ("mira", "opus")] == [1, 1]
