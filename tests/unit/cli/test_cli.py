"""core.py's command line: flags in, exit code and words out; what it calls are stand-ins."""

import errno
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from scheduler import background as real_background
from scheduler.cli import main as cli
from scheduler.cli.completion import completion_command
from scheduler.cli.interactive import interact
from scheduler.cli.queries.check import check_command
from scheduler.cli.queries.next import next_command
from scheduler.cli.queries.status import status_command
from scheduler.cli.v2_flags import core
from scheduler.config.settings import CitizenSettings, Settings
from scheduler.core.ports import FleetOptions
from scheduler.core.schedules.schedule import Every
from scheduler.core.state import Failure
from scheduler.core.task import Command, NotSetUp, Outcome, Task
from scheduler.core.views import Receipt, Snapshot, TaskStatus, TaskView
from scheduler.errors import BadSettings, Owned, SchedulerError, UnknownCitizen, UnknownTask
from tests.each import each
from tui.__main__ import COMMANDS, monitor

FINE = Snapshot("opus", (TaskView("heartbeat", TaskStatus.NEVER, "5m", due=0.0),))
BROKEN = Snapshot(
    "mira",
    (TaskView("news_scan", TaskStatus.FAILED, "4h", due=0.0, last_run=0.0, error=Failure(0.0, "no route")),),
    problems=("mira/experience.toml: a key that\x1b is unknown",),
)


OUTCOMES = (Outcome.OK, Outcome.FAILED)  # by exit code


class Background:
    """Stands in for scheduler.background and scheduler.runtime.headless; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []
        self.snapshots = {"opus": FINE}
        self.code = 0

    def read_citizens(self, names=(), config=None):
        return [self.read_citizen(name, config) for name in names or self.snapshots]

    def read_citizen(self, citizen, config=None):
        if citizen not in self.snapshots:
            raise UnknownCitizen(citizen, self.snapshots)
        return self.snapshots[citizen]

    def get_scheduler(self, citizen, config=None, own_as_root=False):
        def reset(task):
            return Receipt(self.background_reset(task, citizen))

        return SimpleNamespace(run_now=lambda task: self.run_now(citizen, task), reset=reset)

    def run_now(self, citizen, task):
        self.background_force(task, citizen)
        failed = Failure("2024-01-15T17:33:20+00:00", "no") if self.code else None
        return TaskView(task, TaskStatus.OK, "5m", error=failed, outcome=OUTCOMES[self.code])

    def background_force(self, task, citizen, config=None, own_as_root=False):
        if task == "heartbaet":
            raise UnknownTask(task, ["heartbeat"])
        self.asked.append(("force", citizen, task))
        return f"{task}: ok"

    def background_reset(self, task, citizen, config=None, own_as_root=False):
        self.asked.append(("reset", citizen, task))
        return f"{task}: due at the next check"

    def background_stop(self, task, citizen, config=None, own_as_root=False):
        self.asked.append(("stop", citizen, task))
        return f"{task}: stopped"

    def run_headless(self, options, **given):
        self.asked.append(("loop", options, given))
        return self.code

    def run_once(self, options, **given):
        self.asked.append(("once", options, given))
        return self.code


@pytest.fixture
def background(monkeypatch):
    stand_in = Background()
    for name in vars(Background):
        if hasattr(real_background, name) and not name.startswith("_"):
            monkeypatch.setattr(real_background, name, getattr(stand_in, name))
    monkeypatch.setitem(sys.modules, "scheduler.runtime.headless", stand_in)
    return stand_in


def fleet(**changed):
    return FleetOptions(only=("opus",), **changed)


def test_status_prints_the_one_citizen_in_v2s_shape(background, capsys):
    assert cli.main(["--citizen", "opus", "--status"]) == 0
    expected = "=== BACKGROUND TASKS ===\n\n  ○ heartbeat: never ran, next in now (0 runs)\n"
    assert capsys.readouterr() == (expected, "")


def test_status_of_everyone_names_each_and_fails_if_one_failed(background, capsys):
    background.snapshots["mira"] = BROKEN
    assert cli.main(["--status"]) == 1
    out, err = capsys.readouterr()
    assert "=== BACKGROUND TASKS: opus ===\n\n  ○" in out
    assert "\n\n=== BACKGROUND TASKS: mira ===\n\n  ✗ news_scan" in out
    assert err == "experience: mira/experience.toml: a key that\\x1b is unknown\n"


def test_status_of_settings_that_cannot_be_used_is_an_error(background, capsys):
    background.snapshots["mira"] = Snapshot("mira", problems=("mira/experience.toml: wake.evry: unknown",))
    assert cli.main(["--status"]) == 2
    out, err = capsys.readouterr()
    assert "opus ===" in out and err == "experience: mira/experience.toml: wake.evry: unknown\n"


def test_an_output_that_takes_nothing_is_one_line(background, capsys, monkeypatch):
    def full(text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cli.click, "echo", full)
    said = []
    monkeypatch.setattr(cli, "print_errors", lambda *lines: said.extend(lines) or 2)
    assert cli.main(["--citizen", "opus", "--status"]) == 2
    assert said == ["the output: No space left on device; make room on its disk"]


def test_status_without_citizens_says_how_to_begin(background, capsys):
    background.snapshots.clear()
    assert cli.main(["--status"]) == 0
    assert "no citizens yet" in capsys.readouterr().out


@each(
    "argv, asked",
    [
        ([], ("once", fleet(), {"wake": True, "log_json": False})),
        (["--wake"], ("once", fleet(), {"wake": True, "log_json": False})),
        (["--background-only"], ("once", fleet(), {"wake": False, "log_json": False})),
        (["--no-background"], ("once", fleet(background=False), {"wake": True, "log_json": False})),
        (["--loop"], ("loop", fleet(), {"log_json": False})),
        (["--loop", "--interval", "300"], ("loop", fleet(interval=300.0), {"log_json": False})),
        (["--loop", "--interval", "5m"], ("loop", fleet(interval=300.0), {"log_json": False})),
        (
            ["--loop", "--background-only", "--log-json", "--own-as-root"],
            ("loop", fleet(wakes=False, own_as_root=True), {"log_json": True}),
        ),
        (["--force", "news_scan"], ("force", "opus", "news_scan")),
        (["--reset", "news_scan"], ("reset", "opus", "news_scan")),
    ],
)
def test_each_flag_asks_for_its_verb(background, argv, asked):
    background.asked.clear()
    assert cli.main(["--citizen", "opus", *argv]) == 0
    assert background.asked == [asked]


def test_an_interval_without_a_loop_is_said(background, capsys):
    assert cli.main(["--citizen", "opus", "--interval", "5"]) == 0
    assert capsys.readouterr().err == "experience: --interval has no effect without --loop\n"
    assert cli.main(["--citizen", "opus", "--loop", "--interval", "5"]) == 0
    assert capsys.readouterr().err == ""


def test_choices_are_said_on_one_line(capsys):
    assert cli.run(completion_command, []) == 2
    said = "experience: Missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish; "
    assert capsys.readouterr().err == said + 'for example: eval "$(experience-tui completion bash)"\n'


def test_the_exit_code_of_a_run_is_passed_on(background):
    background.code = 1
    assert cli.main(["--citizen", "opus"]) == 1


def test_a_verb_fails_when_what_it_did_failed_and_only_then(background, capsys):
    background.snapshots["mira"] = BROKEN
    assert cli.main(["--citizen", "mira", "--force", "news_scan"]) == 0
    assert cli.main(["--citizen", "mira", "--reset", "news_scan"]) == 0
    background.code = 1
    assert cli.main(["--citizen", "mira", "--force", "news_scan"]) == 1
    assert capsys.readouterr().out == (
        "news_scan: ok\nnews_scan: due at the next check\nnews_scan: failed: no\n"
    )


def test_whom_no_process_runs_is_said_beside_what_is_promised(background, capsys, tmp_path):
    for name in ("opus", "mira", "aria"):
        background.snapshots[name] = replace(FINE, citizen=name, home=str(tmp_path / name), owner="")
        (tmp_path / name / ".experience").mkdir(parents=True)
    background.snapshots["aria"] = replace(background.snapshots["aria"], owner="pid 4711")
    (tmp_path / "mira/.experience/managed").write_text("experience-mira user\n")
    assert cli.run(status_command, []) == 0
    assert capsys.readouterr().err == (
        "experience: no process runs mira: systemctl --user start experience-mira\n"
        "experience: no process runs opus: ./run.sh up opus\n"
    )
    assert cli.run(next_command, ["aria"]) == 0
    assert capsys.readouterr().err == ""
    assert cli.run(next_command, ["opus"]) == 0
    assert capsys.readouterr().err == "experience: no process runs opus: ./run.sh up opus\n"
    assert cli.run(status_command, ["opus", "--json"]) == 0
    assert capsys.readouterr().err == ""


@each(
    "argv, words",
    [
        (["--citizen", "opsu", "--status"], "unknown citizen 'opsu': did you mean opus?"),
        (["--citizen", "opus", "--force", "heartbaet"], "unknown task 'heartbaet': did you mean heartbeat?"),
        (["--loop"], "which citizen? Add --citizen NAME"),
        (["--citizen", "opus", "--loop", "--status"], "--status and --loop exclude each other"),
        (["--citizen", "opus", "--background-only", "--no-background"], "leave nothing to do"),
        (["--citizen", "opus", "--loop", "--interval", "soon"], "'soon' is not a duration"),
        (["--citizen", "opus", "--loop", "--interval", "0"], "an interval must be longer than nothing"),
        (["--statsu"], "No such option '--statsu'"),
        (["--citizen", "opus", "extra"], "unexpected extra argument"),
    ],
)
def test_an_error_that_a_person_can_cause_is_one_line(background, capsys, argv, words):
    assert cli.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("experience: ") and words in err
    assert err.count("\n") == 1
    assert background.asked == []


def test_a_refusal_by_the_owner_is_one_line(background, capsys, monkeypatch):
    def refused(citizen, **given):
        raise Owned("opus is owned by pid 4711; end that one first")

    monkeypatch.setattr(background, "run_once", refused)
    assert cli.main(["--citizen", "opus"]) == 2
    assert capsys.readouterr().err == "experience: opus is owned by pid 4711; end that one first\n"


def test_advice_keeps_its_lines_and_loses_what_steers_a_terminal(background, capsys, monkeypatch):
    def refused(citizen, **given):
        raise SchedulerError("news_scan is not set up; add:\n[tasks.news_scan]\x1b\ncommand = []")

    monkeypatch.setattr(background, "run_once", refused)
    assert cli.main(["--citizen", "opus"]) == 2
    lines = ["experience: news_scan is not set up; add:", "[tasks.news_scan]\\x1b", "command = []", ""]
    assert capsys.readouterr().err == "\n".join(lines)


def test_a_warning_of_the_log_is_not_printed_beside_the_error(background, capsys, monkeypatch):
    def refused(citizen, **given):
        logging.getLogger("experience.fleet").warning("opus is owned by pid 4711")
        raise Owned("opus is owned by pid 4711")

    monkeypatch.setattr(background, "run_once", refused)
    assert cli.main(["--citizen", "opus"]) == 2
    assert capsys.readouterr().err == "experience: opus is owned by pid 4711\n"


def test_every_problem_of_the_settings_is_a_line_of_its_own(background, capsys, monkeypatch):
    def unusable(names, config):
        raise BadSettings(["a.toml: first", "b.toml: second"])

    monkeypatch.setattr(real_background, "read_citizens", unusable)
    assert cli.main(["--citizen", "opus", "--status"]) == 2
    assert capsys.readouterr().err == "experience: a.toml: first\nexperience: b.toml: second\n"


def test_help_is_not_an_error(background, capsys):
    assert cli.main(["--help"]) == 0
    assert "./core.py --citizen opus --status" in capsys.readouterr().out


# ------------------------------------------------------------------ subcommands of experience-tui


def test_status_as_json_holds_every_field(background, capsys):
    background.snapshots["mira"] = BROKEN
    assert cli.run(status_command, ["--json"]) == 1
    opus, mira = json.loads(capsys.readouterr().out)
    assert opus["citizen"] == "opus"
    assert opus["tasks"][0] | {"name": "heartbeat", "kind": "never ran", "due": 0.0} == opus["tasks"][0]
    assert mira["tasks"][0]["error"] == {"time": 0.0, "text": "no route"}


def test_status_of_some(background, capsys):
    assert cli.run(status_command, ["opus"]) == 0
    assert capsys.readouterr().out.startswith("=== BACKGROUND TASKS ===\n")


def settings(monkeypatch, *citizens, problems=()):
    loaded = Settings(Path(), citizens, problems)
    monkeypatch.setattr("scheduler.cli.queries.check.load", lambda **_: loaded)


def test_check_reports_all_problems_at_once(monkeypatch, capsys):
    wrong = ("opus/experience.toml: [wake] evry: unknown",)
    opus = CitizenSettings("opus", Path(), problems=wrong)
    settings(monkeypatch, opus, problems=("experience.toml: root: expected text",))
    assert cli.run(check_command, []) == 2
    assert capsys.readouterr().err == (
        "experience: experience.toml: root: expected text\n"
        "experience: opus/experience.toml: [wake] evry: unknown\n"
    )


def test_check_says_what_is_not_set_up(monkeypatch, capsys):
    tasks = (
        Task("heartbeat", Every(300), NotSetUp("x")),
        Task("news_scan", Every(300), Command(("true",))),
    )
    settings(monkeypatch, CitizenSettings("opus", Path(), tasks))
    assert cli.run(check_command, []) == 0
    assert (
        capsys.readouterr().out == "opus: 2 tasks; these need settings: heartbeat (x)\nthe settings are ok\n"
    )


@each("command", [core, status_command, check_command])
def test_each_help_has_an_example(command):
    assert "Example: " in command.get_help(click.Context(command))


# ------------------------------------------------------------------ the prompt


def typed(monkeypatch, *lines):
    left = iter(lines)

    def answer(prompt=""):
        for line in left:
            return line
        raise EOFError

    monkeypatch.setattr("builtins.input", answer)


def test_the_prompt_knows_status_with_and_without_parentheses(background, capsys, monkeypatch):
    typed(monkeypatch, "background_status", "background_status()")
    assert cli.main(["--citizen", "opus", "--interactive"]) == 0
    assert capsys.readouterr().out.count("  ○ heartbeat: never ran, next in now (0 runs)") == 2


def test_the_prompt_forces_resets_and_stops(background, capsys, monkeypatch):
    verbs = ("force", "reset", "stop")
    typed(monkeypatch, *(f'background_{verb}("news_scan")' for verb in verbs))
    interact("opus", None, lambda: "")
    assert background.asked == [(verb, "opus", "news_scan") for verb in verbs]
    assert capsys.readouterr().out == "news_scan: ok\nnews_scan: due at the next check\nnews_scan: stopped\n"


def test_the_prompt_says_an_error_in_one_line_and_goes_on(background, capsys, monkeypatch):
    typed(monkeypatch, 'background_force("heartbaet")', "1 / 0", "print('still here')")
    interact("opus", None, lambda: "")
    out, err = capsys.readouterr()
    assert "experience: unknown task 'heartbaet': did you mean heartbeat?" in err
    assert "ZeroDivisionError" in err  # the person's own mistake keeps Python's own words
    assert out == "still here\n"


def test_the_prompt_for_an_unknown_citizen_does_not_open(background, capsys):
    assert cli.main(["--citizen", "opsu", "--interactive"]) == 2
    assert "unknown citizen" in capsys.readouterr().err


def test_the_list_of_commands_fits_a_terminal_of_80_columns(capsys):
    for words, least in (((), len(COMMANDS)), (("engine",), 5), (("service",), 3)):
        assert cli.run(monitor, [*words, "--help"], "experience-tui") == 0
        commands = capsys.readouterr().out.partition("Commands:")[2].splitlines()
        assert [line for line in commands if line.endswith("...") or len(line) > 80] == []
        assert len(commands) > least
