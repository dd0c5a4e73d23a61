"""`init`, `add`, `remove`, `enable`, `disable` and `undo`: what they write, say and refuse."""

import json
from pathlib import Path

import pytest

from scheduler.cli.main import run
from tui.__main__ import monitor


@pytest.fixture
def asked(tmp_path: Path, capsys):
    main = tmp_path / "main.toml"
    main.write_text(f'root = "{tmp_path / "homes"}"\n')

    def ask(*words: str) -> tuple[int, str, str]:
        verb, *rest = words
        code = run(monitor, [verb, "--config", str(main), *rest], "experience-tui")
        return code, *capsys.readouterr()

    return ask


@pytest.fixture
def own(tmp_path: Path, asked) -> Path:
    """The settings file of a citizen that was just made."""
    assert asked("init", "opus")[0] == 0
    return tmp_path / "homes/opus/experience.toml"


def test_a_new_citizen_has_a_file_that_says_what_to_write(own, asked):
    assert own.stat().st_mode & 0o777 == 0o600
    before = own.read_text()
    assert "# [wake]" in before
    code, said, _ = asked("init", "opus")
    assert (code, said) == (0, f"opus is there already; its settings: {own}\n")
    assert own.read_text() == before
    assert asked("init", "Opus")[0] == 2


def test_a_folder_that_is_there_becomes_a_home(tmp_path, asked):
    (tmp_path / "homes/mira/notes").mkdir(parents=True)
    assert asked("init", "mira")[0] == 0
    assert (tmp_path / "homes/mira/experience.toml").exists()


def test_a_task_is_added_and_taken_back(own, asked):
    before = own.read_text()
    words = ("--cron", "0 9 * * 1-5", "--timeout", "10m", "--set", "catch_up=false", "--set", "priority=3")
    code, said, warned = asked("add", "opus", "report", *words, "--", "python3", "-m", "report")
    table = """\
[tasks.report]
cron = "0 9 * * 1-5"
timeout = "10m"
command = ["python3", "-m", "report"]
catch_up = false
priority = 3
"""
    assert own.read_text() == f"{before}\n{table}"
    done = f"opus: added report, in {own}\nto undo: ./run.sh undo opus\n"
    assert (code, said, warned) == (0, table + done, "")
    assert asked("undo") == (0, f"opus: undone: added report, in {own}\n", "")
    assert own.read_text() == before
    code, _, warned = asked("undo")
    assert (code, warned) == (
        2,
        "experience: nothing to undo: no command of yours changed the settings of a citizen\n",
    )


def test_a_dry_run_writes_nothing(own, asked):
    before = own.read_text()
    code, said, warned = asked("add", "opus", "report", "--every", "1h", "--dry-run", "df | tail -1")
    assert code == 0
    assert 'command = ["sh", "-c", "df | tail -1"]' in said
    assert warned == f"nothing was written: --dry-run; it would be in {own}\n"
    assert own.read_text() == before


def test_what_cannot_be_meant_is_one_line(own, asked):
    before = own.read_text()
    for words, part in (
        (("add", "opus", "report", "--every", "often", "--", "df"), "tasks.report.every"),
        (("add", "opus", "report", "--set", "every", "--", "df"), "KEY=VALUE"),
        (("add", "opsu", "report", "--every", "1h", "--", "df"), "did you mean opus?"),
        (("remove", "opus", "report"), "unknown task 'report'"),
        (("disable", "opus", "report"), "unknown task 'report'"),
        (("enable", "opus", "heartbeat"), "heartbeat is enabled already"),
    ):
        code, said, warned = asked(*words)
        assert (code, said, warned.count("\n")) == (2, "", 1)
        assert part in warned
    assert own.read_text() == before


def test_a_warning_is_no_refusal(own, asked):
    code, _, warned = asked("add", "opus", "report", "--every", "1h", "--", "no-such-program")
    assert code == 0
    assert warned.startswith("experience: warning: report will fail: no such program")


def test_scripts_get_an_object(own, asked):
    code, said, _ = asked("disable", "opus", "heartbeat", "--json")
    assert code == 0
    assert json.loads(said) == {"citizen": "opus", "what": "disabled heartbeat", "files": [str(own)]}
    assert json.loads(asked("enable", "opus", "heartbeat", "--json")[1])["what"] == "enabled heartbeat"
    assert json.loads(asked("undo", "opus", "--json")[1])["what"] == "undone: enabled heartbeat"
    assert "[tasks.heartbeat]\nenabled = false" in own.read_text()
