"""`experience-tui history`: a table for people, JSON for scripts, and nothing written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.cli.main import run
from scheduler.cli.queries.history import run_table
from scheduler.core.costs import RunCost
from scheduler.core.records import FinishedRun, RunRecord, last_begun
from scheduler.core.task import Outcome, Retention, Trigger
from scheduler.executors.output import OutputBuffer
from scheduler.storage.history_file import HistoryFile
from tests.crash.loops import ROOT, Place, everything_in
from tests.each import each
from tests.fakes import NOON
from tui.__main__ import monitor


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("TZ", "UTC")
    place = Place(tmp_path)
    place.tasks('report\nevery = "1h"\ncommand = ["true"]')
    output = OutputBuffer()
    output.write(b"\x1b[31mred\x1b[0m\tand more\nlast\n")
    fine = FinishedRun(
        "report", Trigger.SCHEDULE, 1, NOON, NOON + 1.25, 1.25, Outcome.OK, "3 pages", "", output
    )
    again = fine._replace(trigger=Trigger.RETRY, attempt=2, seconds=0.012, output=None)
    bad = again._replace(
        outcome=Outcome.FAILED, text="\n exit 1: no\x1b ink \nsecond line", traceback="Trace"
    )
    left = bad._replace(
        trigger=None, outcome=Outcome.INTERRUPTED, text="it died", seconds=3725.0, traceback=""
    )
    file = HistoryFile(place.home)
    file.add([fine, bad, left, again._replace(task="heartbeat", seconds=75.0, text="")], Retention())
    file.close()
    return place


def asked(place: Place, *words: str) -> int:
    return run(monitor, ["history", "opus", *words, "--config", str(place.config)], "experience-tui")


def test_it_is_a_line_per_run_the_newest_first(place, capsys):
    assert asked(place) == 0
    assert capsys.readouterr().out.splitlines() == [
        "id  when                 task       trigger    outcome       took  text",
        " 4  2026-03-02 12:00:00  heartbeat  attempt 2  ok           01:15",
        " 3  2026-03-02 12:00:00  report     attempt 2  interrupted  1h02m  it died",
        r" 2  2026-03-02 12:00:00  report     attempt 2  failed        12ms  exit 1: no\x1b ink",
        " 1  2026-03-02 12:00:00  report     schedule   ok            1.2s  3 pages",
    ]


def test_what_runs_cost_is_a_column_once_any_of_them_has_a_cost(place, capsys):
    file = HistoryFile(place.home)
    wake = FinishedRun("wake", Trigger.SCHEDULE, 1, NOON, NOON + 9, 9.0, Outcome.OK, "done")
    costs = [RunCost("0.6149", tokens_in=5), RunCost(unknown=True)]
    file.add([wake._replace(cost=each) for each in costs], Retention())
    file.close()
    assert asked(place, "--limit", "3") == 0
    assert capsys.readouterr().out.splitlines() == [
        "id  when                 task       trigger    outcome   took   cost  text",
        " 6  2026-03-02 12:00:00  wake       schedule   ok        9.0s     $?  done",
        " 5  2026-03-02 12:00:00  wake       schedule   ok        9.0s  $0.61  done",
        " 4  2026-03-02 12:00:00  heartbeat  attempt 2  ok       01:15",
    ]
    assert asked(place, "--json", "--limit", "3") == 0
    assert [each["cost"] for each in json.loads(capsys.readouterr().out)] == [
        {"unknown": True},
        {"cost_usd": "0.6149", "tokens_in": 5},
        None,
    ]


def test_of_one_task_its_name_is_left_out(place, capsys):
    assert asked(place, "report", "--failed", "--limit", "1") == 0
    assert capsys.readouterr().out.splitlines() == [
        "id  when                 trigger    outcome       took  text",
        " 3  2026-03-02 12:00:00  attempt 2  interrupted  1h02m  it died",
    ]
    assert asked(place, "report", "--before", "2") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_no_line_is_wider_than_the_terminal():
    long = RunRecord(7, "report", NOON, NOON, 0.5, Outcome.OK, Trigger.FORCE, 1, 500 * "x")
    assert {len(line) for line in run_table([("opus", long)], 80)[1:]} == {80}


def test_the_machine_is_a_column_once_any_of_them_has_one():
    runs = [
        RunRecord(number, "report", NOON, NOON, 0.5, Outcome.OK, Trigger.FORCE, machine=machine)
        for number, machine in ((2, "g1"), (1, ""))
    ]
    titles, first, _ = run_table([("opus", run) for run in runs], 80)
    assert (titles.split()[5], first.split()[6]) == ("machine", "g1")


def test_for_scripts_it_is_json(place, capsys):
    assert asked(place, "report", "--json", "--limit", "1") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found == {
        "citizen": "opus",
        "id": 3,
        "task": "report",
        "started": NOON,
        "finished": NOON + 1.25,
        "seconds": 3725.0,
        "outcome": "interrupted",
        "trigger": None,
        "attempt": 2,
        "text": "it died",
        "printed": False,
        "cost": None,
        "who": None,
        "stopped_by": None,
        "why": "",
        "machine": "",
    }


def test_the_output_of_a_run_cannot_steer_the_terminal(place, capsys):
    assert asked(place, "--output", "1") == 0
    assert capsys.readouterr().out == "red    and more\nlast\n"
    assert asked(place, "--output", "2") == 0
    assert capsys.readouterr().out == "Trace\n"
    assert asked(place, "--output", "3") == 0
    assert capsys.readouterr().out == ""
    assert asked(place, "--output", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"id": 1, "output": "\x1b[31mred\x1b[0m\tand more\nlast\n"}


@each(
    "words, said",
    [
        (["reprot"], "unknown task 'reprot': did you mean report?"),
        (["--output", "9"], "run 9 is not in the history: it never existed or is too old"),
        (["--limit", "0"], "Invalid value for '--limit': 0 is not in the range x>=1."),
    ],
)
def test_what_cannot_be_answered_is_one_line(place, capsys, words, said):
    assert asked(place, *words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_an_unknown_citizen_is_one_line(place, capsys):
    assert run(monitor, ["history", "opsu", "--config", str(place.config)], "experience-tui") == 2
    assert "unknown citizen 'opsu': did you mean opus?" in capsys.readouterr().err


def test_a_damaged_database_is_one_line_and_stays(place, capsys):
    (place.home / "runs.db").write_text("these are no runs")
    assert asked(place) == 2
    assert capsys.readouterr().err == f"experience: {place.home}/runs.db: file is not a database\n"
    assert (place.home / "runs.db").read_text() == "these are no runs"


def test_where_nothing_ran_it_says_so(place, capsys):
    (place.home / "runs.db").unlink()
    assert asked(place) == 0
    assert capsys.readouterr().out == "no such runs yet\n"


def test_it_is_1_while_the_last_run_of_a_task_failed(place, capsys):
    (place.home / "background_tasks.json").write_text(
        '{"errors": {"report": {"time": "2026-03-02T12:00:00+00:00", "error": "no ink"}},'
        ' "last_run": {"report": 1.0}, "run_counts": {"report": 1}}'
    )
    assert asked(place) == asked(place, "report") == 1
    assert asked(place, "heartbeat") == asked(place, "--output", "1") == 0


def test_it_reads_and_leaves_no_trace(place, capsys):
    before = everything_in(place.root)
    assert asked(place) == 0
    assert everything_in(place.root) == before


def test_status_and_help_load_nothing_of_it():
    script = (
        "import sys, scheduler.cli.main, scheduler.background, tui.__main__;"
        " print({'sqlite3', 'scheduler.storage.history_reader'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_the_last_run_is_the_last_that_began():
    """What `logs` prints: the times that a gate let go printed nothing."""
    outcomes = (Outcome.SKIPPED, Outcome.OK, Outcome.OK)
    runs = [RunRecord(9 - n, "wake", NOON, NOON, 0.0, each) for n, each in enumerate(outcomes)]
    assert last_begun(runs) == runs[1]
    assert last_begun(runs[:1]) == runs[0]
    assert last_begun([]) is None
