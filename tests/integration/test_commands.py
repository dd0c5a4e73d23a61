"""The verbs of experience-tui: the same words and exit codes through an owner and without one."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.background import read_citizens
from scheduler.cli.main import run
from scheduler.process.who import this_process
from scheduler.storage.lock import owner_of, owning
from tests.crash.loops import ROOT, Place
from tests.each import each
from tui.__main__ import monitor

NEVER = json.dumps("59 23 31 12 *")
WAKE = 'command = ["sh", "-c", "while [ -e hold ]; do echo > awake; sleep 0.02; done; echo rested"]\n'
OWNED = "a loop owns them"
RAISES = "def run(context):\n    print('before')\n    raise ValueError('no ink')\n"
COLOURS = (
    "printf 'one\\t\\033[31mred\\033[0m\\r\\n\\007two'; printf '\\033[1'; sleep 0.2; printf 'mbold\\033[0m'"
)


def on_demand(name: str, script: str) -> str:
    return f"{name}\ncron = {NEVER}\ncommand = {json.dumps(['sh', '-c', script])}"


TASKS = (
    on_demand("steps", "for i in 1 2; do echo step $i; sleep 0.05; done; echo last"),
    on_demand("quick", "echo fine"),
    on_demand("bad", "echo oh; echo no ink; exit 3"),
    on_demand("silent", "true"),
    on_demand("colours", COLOURS),
    on_demand("much", "head -c 400000 /dev/zero | tr '\\0' x; echo; echo end"),
    on_demand("late", "until [ -e go ]; do sleep 0.02; done; rm go; echo at last"),
    f'raises\ncron = {NEVER}\nhandler = "raises.py:run"',
    f"unset\ncron = {NEVER}",
)


class Shell:
    """What a person at a shell has: citizens, a command, and what it said."""

    def __init__(self, root: Path, owned: bool, capsys: Any) -> None:
        self.root, self.owned, self._capsys = root, owned, capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        self._capsys.readouterr()
        code = run(monitor, [*words, "--config", str(self.root / "main.toml")], "experience-tui")
        self.out, self.err = self._capsys.readouterr()
        return code

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def objects(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """The command in a process of its own."""
        argv = [sys.executable, "-m", "tui", *words, "--config", str(self.root / "main.toml")]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def until(holds: Callable[[], object], words: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"never came true: {words}"
        time.sleep(0.01)


@pytest.fixture(scope="module", params=["without owners", OWNED])
def citizens(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    root = tmp_path_factory.mktemp("root")
    for name in ("opus", "mira"):
        place = Place(root, name)
        place.tasks(*TASKS, more=f'grace = "0.2s"\n[wake]\nevery = "23h"\n{WAKE}')
        (place.home / "raises.py").write_text(RAISES)
        (place.home / "metadata.json").write_text('{"last_wake": "2999-01-01T00:00:00+00:00"}')
    if request.param != OWNED:
        yield root, False
        return
    argv = [sys.executable, "-m", "tui", "--no-ui", "--config", str(place.config)]
    loop = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        sockets = [root / name / ".experience" / "control.sock" for name in ("opus", "mira")]
        until(lambda: all(socket.exists() for socket in sockets), "the loop owns them")
        yield root, True
    finally:
        loop.terminate()
        loop.wait(20)


@pytest.fixture
def shell(citizens: Any, capsys: Any) -> Shell:
    return Shell(*citizens, capsys)


# ------------------------------------------------------------------ force --wait


@each(
    "task, code, said",
    [
        ("steps", 0, ["step 1", "step 2", "last", "steps: ok: last"]),
        ("quick", 0, ["fine", "quick: ok: fine"]),
        ("silent", 0, ["silent: ok"]),
        ("bad", 1, ["oh", "no ink", "bad: failed: exit 3: no ink"]),
        ("colours", 0, ["one    red", r"\x07twobold", r"colours: ok: \x07twobold"]),
    ],
)
def test_what_a_run_prints_is_shown_and_its_outcome_is_the_answer(shell, task, code, said):
    assert shell("force", "opus", task, "--wait") == code
    assert (shell.lines, shell.err) == (said, "")


def test_the_traceback_of_what_a_handler_raised_comes_after_what_it_printed(shell):
    assert shell("force", "opus", "raises", "--wait") == 1
    assert shell.lines[:2] == ["before", "Traceback (most recent call last):"]
    assert shell.lines[-2:] == ["ValueError: no ink", "raises: failed: ValueError: no ink"]


def test_of_much_output_what_is_left_out_is_counted(shell):
    assert shell("force", "opus", "much", "--wait") == 0
    assert shell.lines[-2:] == ["end", "much: ok: end"]
    gaps = [line for line in shell.lines if line.endswith(" bytes left out …")]
    missing = sum(int(line.split()[1].replace(",", "")) for line in gaps)
    assert shell.out.count("x") + missing == 400_000


def test_for_scripts_what_was_printed_is_in_the_object(shell):
    assert shell("force", "opus", "bad", "--wait", "--json") == 1
    said = {"text": "bad: failed: exit 3: no ink", "outcome": "failed", "output": "oh\nno ink\n"}
    assert shell.objects == [{"citizen": "opus", "task": "bad", **said}]


def test_several_tasks_of_several_citizens_are_waited_for_at_once(shell):
    assert shell("force", "opus,mira", "steps", "bad", "--wait") == 1
    for who in ("opus", "mira"):
        own = [line for line in shell.lines if line.startswith(who)]
        assert [line for line in own if "/bad: " in line] == [
            f"{who}/bad: oh",
            f"{who}/bad: no ink",
            f"{who}/bad: failed: exit 3: no ink",
        ]
        assert [line for line in own if "/steps: " in line][-2:] == [
            f"{who}/steps: last",
            f"{who}/steps: ok: last",
        ]


def test_ctrl_c_stops_waiting_and_says_what_becomes_of_the_run(shell):
    before = _runs(shell, "late")
    waiting = shell.begin("force", "opus", "late", "--wait")
    until(lambda: read_citizens(("opus",), shell.root / "main.toml")[0].task("late").running_since, "it runs")
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=20)
    assert (waiting.returncode, out) == (130, "")
    if shell.owned:
        assert err == f"opus/late continues in pid {owner_of(shell.root / 'opus').pid}\n"
        (shell.root / "opus" / "go").touch()
        until(lambda: _runs(shell, "late") == before + 1, "it ended")
        assert read_citizens(("opus",), shell.root / "main.toml")[0].task("late").error is None
    else:
        assert err == "stopping opus/late; press ctrl+c again to kill it\n"
        assert "interrupted" in read_citizens(("opus",), shell.root / "main.toml")[0].task("late").error.text


@pytest.mark.parametrize("citizens", [OWNED], indirect=True)
def test_again_waits_for_the_run_that_was_asked_for(shell):
    assert shell("force", "opus", "late") == 0
    assert shell("force", "opus", "late", "--wait") == 2
    assert "late is already running" in shell.err
    waiting = shell.begin("force", "opus", "late", "--wait", "--again")
    time.sleep(0.5)
    (shell.root / "opus" / "go").touch()
    until(lambda: not (shell.root / "opus" / "go").exists(), "the first has ended")
    assert waiting.poll() is None
    (shell.root / "opus" / "go").touch()
    assert waiting.communicate(timeout=20)[0] == "at last\nlate: ok: at last\n"


@pytest.mark.parametrize("citizens", [OWNED], indirect=True)
def test_a_run_or_a_wake_that_somebody_else_stops_is_no_success_for_who_waits_for_it(shell):
    waiting = shell.begin("force", "opus", "late", "--wait")
    until(lambda: shell("stop", "opus", "late") == 0, "it runs, and is stopped")
    (shell.root / "opus" / "hold").touch()
    awake = shell.begin("wake", "opus", "--wait")
    until((shell.root / "opus" / "awake").exists, "it is awake")
    assert shell("stop", "opus", "wake", "--wait") == 0
    me = this_process().user
    assert (shell.lines, waiting.communicate(timeout=20)[0]) == (
        [f"wake: stopped by {me}"],
        f"late: stopped by {me}\n",
    )
    assert awake.communicate(timeout=20)[0] == f"opus: the wake was stopped by {me}\n"
    assert (waiting.returncode, awake.returncode) == (1, 1)


def _runs(shell: Shell, task: str) -> int:
    return read_citizens(("opus",), shell.root / "main.toml")[0].task(task).run_count


# ------------------------------------------------------------------ the other verbs


@each("verb", ["pause", "resume", "reset"])
def test_a_verb_says_what_is_done_for_one_several_or_all(shell, verb):
    done = {"pause": "paused", "resume": "resumed", "reset": "reset"}[verb]
    assert shell(verb, "opus", "steps", "quick") == 0
    assert sorted(shell.lines) == [f"quick: {done}", f"steps: {done}"]  # each when it is done
    assert shell(verb, "opus,mira", "steps") == 0
    assert sorted(shell.lines) == [f"mira/steps: {done}", f"opus/steps: {done}"]
    assert shell(verb, "--all", "steps", "--json") == 0
    assert sorted(shell.objects, key=lambda each: each["citizen"]) == [
        {"citizen": name, "task": "steps", "text": f"steps: {done}", "saved": True}
        for name in ("mira", "opus")
    ]


@each(
    "words, said",
    [
        (["pause", "--all", "qiuck"], "experience: unknown task 'qiuck': did you mean quick?"),
        (["force", "opus,mria", "quick"], "experience: unknown citizen 'mria': did you mean mira?"),
        (["force", "opus", "unset"], "experience: unset is not set up: it needs "),
    ],
)
def test_what_cannot_be_done_is_one_line(shell, words, said):
    assert shell(*words) == 2
    assert shell.out == "" and shell.err.count("\n") == 1 and said in shell.err


@each(
    "words, said",
    [
        (["reset"], "which citizen? Name it (several: a,b), or use --all"),
        (["reset", "opus"], "which task? Name it after the citizen"),
        (["wake"], "which citizen? Name it"),
        (["wake", "opus", "--all"], "name citizens or use --all, not both"),
        (["history", "opus", "quick", "steps"], "at most one task"),
        (["history", "--all", "--before", "7"], "each citizen has its own ids"),
        (["next", "opus", "--cron", "* * * * *"], "exclude each other"),
        (["next", "--timezone", "UTC"], "belong to --cron EXPR"),
        (["check", "opsu"], "unknown citizen 'opsu': did you mean opus?"),
    ],
)
def test_what_is_asked_wrongly_is_one_line(tmp_path, capsys, words, said):
    Place(tmp_path).tasks(*TASKS)
    shell = Shell(tmp_path, False, capsys)
    assert shell(*words) == 2
    assert shell.out == "" and shell.err.count("\n") == 1 and said in shell.err


def test_one_that_cannot_be_done_keeps_no_other_from_it(shell):
    assert shell("reset", "opus,mira", "qiuck", "quick") == 2
    assert sorted(shell.lines) == ["mira/quick: reset", "opus/quick: reset"]
    assert [line.partition("unknown")[0] for line in sorted(shell.err.splitlines())] == [
        "experience: mira: ",
        "experience: opus: ",
    ]
    assert shell("reset", "opus", "qiuck", "--json") == 2
    (refused,) = shell.objects
    assert refused["code"] == "unknown-task" and "did you mean quick?" in refused["error"]


def test_a_wake_is_waited_for_and_its_outcome_is_the_answer(shell):
    for verb in ("pause", "reset"):  # 1 also stands for a task that fails, and a wake runs what is due
        shell(verb, "--all", "bad", "raises", "late")
    assert shell("wake", "opus", "mira", "--wait") == 0
    assert sorted(shell.lines) == ["mira: woken: rested", "opus: woken: rested"]
    assert shell("wake", "opus", "--wait", "--json") == 0
    assert shell.objects == [{"citizen": "opus", "text": "opus: woken: rested", "outcome": "ok"}]


def test_ctrl_c_stops_waiting_for_a_wake(shell):
    home = shell.root / "opus"
    (home / "hold").touch()
    waiting = shell.begin("wake", "opus", "--wait")
    until((home / "awake").exists, "it wakes")
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 130
    goes_on = f"the wake of opus continues in pid {owner_of(home).pid}" if shell.owned else ""
    assert err.startswith(goes_on or "stopping the wake of opus; press ctrl+c again")
    (home / "hold").unlink()


def test_logs_print_what_the_last_run_printed(shell):
    assert shell("force", "opus", "steps", "--wait") == 0
    until(lambda: shell("logs", "opus", "steps") == 0 and shell.lines, "the history has it")
    assert shell.lines == ["step 1", "step 2", "last"]
    assert re.match(r"steps: run \d+ of 20[-\d]+ [:\d]+, ok in \S+\n", shell.err)
    assert shell("force", "opus", "colours", "--wait") == 0
    until(lambda: shell("logs", "opus", "colours") == 0 and shell.lines, "the history has it")
    assert shell.lines == ["one    red", r"\x07twobold"]
    assert shell("logs", "opus", "unset") == 0
    assert (shell.out, shell.err) == ("", "unset has not run yet\n")
    assert shell("logs", "opus", "qiuck") == 2
    assert "did you mean quick?" in shell.err
    if not shell.owned:
        assert shell("logs", "opus", "quick", "-f") == 2
        assert shell.err.endswith("experience: no process runs opus: ./run.sh up opus\n")


def test_logs_follow_run_after_run(shell):
    if not shell.owned:
        pytest.skip("there is nothing to follow")
    assert shell("force", "mira", "late") == 0
    following = shell.begin("logs", "mira", "late", "-f")
    assert following.stderr and following.stdout
    assert following.stderr.readline().startswith("late: running since ")
    (shell.root / "mira/go").touch()
    assert following.stdout.readline() == "at last\n"
    for _ in range(2):
        until(lambda: shell("force", "mira", "late") == 0, "the run before has ended")
        (shell.root / "mira/go").touch()
        assert following.stdout.readline() == "at last\n"
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=20)
    assert following.returncode == 130


def test_history_of_all_is_ordered_by_the_time_it_shows_and_fit_for_a_spreadsheet(shell):
    assert shell("force", "opus,mira", "bad", "--wait") == 1
    until(lambda: shell("history", "--json") == 1 and len(json.loads(shell.out)) > 1, "both are there")
    found = json.loads(shell.out)
    assert {run["citizen"] for run in found} == {"opus", "mira"}
    assert [run["started"] for run in found] == sorted((run["started"] for run in found), reverse=True)
    assert shell("history", "opus", "bad", "--limit", "1", "--csv") == 1
    titles, values = csv.reader(shell.lines)
    row = dict(zip(titles, values, strict=True))
    assert (row["citizen"], row["task"], row["outcome"]) == ("opus", "bad", "failed")
    assert (row["text"], row["cost_usd"]) == ("exit 3: no ink", "")
    assert row["started"].endswith("+00:00")
    assert shell("history", "--csv", "--json") == 2
    assert shell("reset", "opus,mira", "bad") == 0


def test_what_is_only_looked_at_is_the_same_either_way(shell):
    assert shell("force", "opus,mira", "quick", "--wait") == 0
    until(
        lambda: (
            shell("history", "--all", "quick", "--limit", "2", "--json") in (0, 1) and len(shell.lines) > 3
        ),
        "",
    )
    assert {(run["citizen"], run["task"]) for run in json.loads(shell.out)} == {
        ("opus", "quick"),
        ("mira", "quick"),
    }
    shell("history", "opus,mira", "quick", "--limit", "1")
    assert shell.lines[0].split() == ["id", "when", "citizen", "trigger", "outcome", "took", "text"]
    assert len(shell.lines) == 2
    assert shell("next", "opus", "mira", "-n", "2", "--json") == 0
    for row in json.loads(shell.out):
        assert set(row) == {"citizen", "task", "due", "at"} and row["at"].startswith("20")
    assert shell("check", "opus", "--json") == 0
    (checked,) = json.loads(shell.out)["citizens"]
    assert checked["citizen"] == "opus" and "quick" in checked["tasks"] and "unset" in checked["not_set_up"]
    assert shell("status", "opus,mira", "opus", "--json") in (0, 1)
    assert [each["citizen"] for each in json.loads(shell.out)] == ["opus", "mira"]


def test_check_tells_a_script_all_that_is_wrong(tmp_path, capsys):
    shell = Shell(tmp_path, False, capsys)
    place = Place(tmp_path)
    place.tasks('odd\nevery = "often"', 'odder\nevrey = "5m"')
    assert shell("check", "--json") == 2
    found = json.loads(shell.out)
    assert len(found["problems"]) == 3 and found["citizens"][0]["problems"] == found["problems"]


def test_a_citizen_that_is_owned_by_one_who_does_not_answer_is_refused_by_name(tmp_path, capsys):
    shell = Shell(tmp_path, False, capsys)
    Place(tmp_path, "mira").tasks(on_demand("quick", "echo fine"))
    place = Place(tmp_path)
    place.tasks(on_demand("quick", "echo fine"))
    with owning(place.home, 5.0):
        assert shell("force", "--all", "quick", "--wait") == 2
    assert shell.lines == ["mira/quick: fine", "mira/quick: ok: fine"]
    assert shell.err.startswith(f"experience: opus is owned by pid {os.getpid()}")


@each("verb", ["force", "reset", "pause", "resume", "wake", "status", "next", "history", "check"])
def test_every_verb_shows_an_example(verb, capsys):
    assert run(monitor, [verb, "--help"], "experience-tui") == 0
    said = capsys.readouterr().out
    assert f"Example: experience-tui {verb}" in said and "--json" in said


# ------------------------------------------------------------------ pause, for a time


def test_a_pause_has_an_end_and_a_reason(shell):
    assert shell("pause", "opus", "steps", "--for", "2h", "--why", "table changes") == 0
    assert re.fullmatch(r"steps: paused until (\w{3} )?\d\d:\d\d: table changes", shell.lines[0])
    assert shell("status", "opus", "--json") in (0, 1)
    (row,) = (row for row in json.loads(shell.out)[0]["tasks"] if row["name"] == "steps")
    assert 7000 < row["paused_until"] - time.time() <= 7200
    assert (row["paused_why"], row["paused_by"]) == ("table changes", str(this_process()))
    assert shell("pause", "opus", "steps", "--until", "mon 9:00") == 0
    assert shell("resume", "opus", "steps") == 0


def test_without_a_task_it_is_all_of_the_citizen(shell):
    assert shell("pause", "opus", "--for", "30m") == 0
    assert len(shell.lines) >= len(TASKS) and all("paused until" in line for line in shell.lines)
    assert any(line.startswith("wake: paused until") for line in shell.lines)
    assert shell("pause", "mira", "quick") == 0
    assert shell("resume", "--all") == 0
    assert sorted(line for line in shell.lines if "quick" in line) == [
        "mira/quick: resumed",
        "opus/quick: resumed",
    ]
    assert shell("resume", "opus") == 0
    assert shell.lines == ["opus: nothing is paused"]


@each(
    "words, said",
    [
        (["--for", "2h", "--until", "08:00"], "--until and --for exclude each other"),
        (["--until", "soon"], "'soon' is not a time: write 08:00, mon 9:00, 2h or"),
        (["--for", "soon"], "'soon' is not a duration"),
    ],
)
def test_an_end_that_is_none_is_one_line(shell, words, said):
    assert shell("pause", "opus", "steps", *words) == 2
    assert shell.out == "" and shell.err.count("\n") == 1 and said in shell.err
