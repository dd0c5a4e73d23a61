"""[monitor] and [keys]: how the screen is to be, and every mistake with its file and key."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from scheduler.cli.queries.check import check_command
from scheduler.config.loader import load, peek
from scheduler.config.ui import monitor
from scheduler.core.ui_options import KEYS, TEXTUAL_THEMES, THEMES, Monitor
from tests.each import each


def read(keys: dict | None = None, table: dict | None = None) -> Monitor:
    return monitor(keys, table, "e.toml")


def test_nothing_set_is_the_default():
    assert read() == Monitor()


def test_what_is_set_is_taken():
    found = read(
        {"force": "%", "log": ["L", "ctrl+l"], "quit": ","},
        {"theme": "light", "ascii": True, "title": False, "bell": True},
    )
    keys = {"force": "%", "log": "L,ctrl+l", "quit": "comma"}
    assert found == Monitor(keys, "light", ascii=True, title=False, bell=True)


@each("key", ["%", "É", "*", "é", "f5", "ctrl+x", "ctrl+shift+f5", "insert", "+", "ctrl++"])
def test_keys_that_terminals_have(key):
    assert read({"force": key}).problems == ()


@each(
    ("keys", "problem"),
    [
        ({"forse": "x"}, "e.toml: keys.forse: unknown key; did you mean force?"),
        (
            {"force": "xx"},
            "e.toml: keys.force: is 'xx', which is not a key; write one character",
        ),
        ({"force": ""}, "e.toml: keys.force: is empty; write one character"),
        ({"force": 5}, "e.toml: keys.force: is a number; write one character"),
        ({"force": []}, "e.toml: keys.force: is a list; write one character"),
        ({"force": "hyper+x"}, "e.toml: keys.force: is 'hyper+x', which is not a key"),
        ({"force": "r"}, "e.toml: keys.force: 'r' is the key of reset on the fleet screen; choose another"),
        ({"force": "T"}, "e.toml: keys.force: 'T' is the key of theme on the fleet screen; choose another"),
        ({"sort": "/"}, "e.toml: keys.sort: '/' is the key of filter on the fleet screen; choose another"),
        ({"help": "q"}, "e.toml: keys.help: 'q' is the key of quit everywhere; choose another"),
        ({"reset": "%", "force": "%"}, "e.toml: keys.reset: '%' is the key of force on the fleet screen"),
    ],
)
def test_what_cannot_be_is_said_with_file_and_key_and_left_at_its_default(keys, problem):
    found = read(keys)
    assert [line[: len(problem)] for line in found.problems] == [problem]
    assert len(found.keys) == len(keys) - 1


def test_two_keys_may_be_swapped():
    assert read({"force": "r", "reset": "f"}) == Monitor({"force": "r", "reset": "f"})


@each(
    ("table", "problem"),
    [
        (
            {"theme": "pink"},
            f"e.toml: monitor.theme: is 'pink'; write one of {', '.join((*THEMES, *TEXTUAL_THEMES))}",
        ),
        ({"bell": "yes"}, "e.toml: monitor.bell: is text; write true or false"),
        ({"tilte": True}, "e.toml: monitor.tilte: unknown key; did you mean title?"),
    ],
)
def test_what_is_wrong_with_the_looks_is_said(table, problem):
    assert read(table=table).problems == (problem,)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "root" / "opus").mkdir(parents=True)
    (tmp_path / "root" / "opus" / "experience.toml").touch()
    file = tmp_path / "experience.toml"
    file.write_text(f'root = "{tmp_path}/root"\n[keys]\nforce = "r"\n[monitor]\ntheme = "light"\n')
    return file


def test_a_bad_key_keeps_no_task_from_running(file):
    settings = load(config=file, environ={})
    assert settings.problems == () and settings.citizens[0].problems == ()
    assert len(settings.monitor.problems) == 1 and settings.monitor.theme == "light"


def test_check_reports_it(file):
    from scheduler.cli.main import run

    assert run(check_command, ["--config", str(file)]) == 2
    done = CliRunner().invoke(check_command, ["--config", str(file)], standalone_mode=False)
    assert f"{file}: keys.force: 'r' is the key of reset" in done.stderr


def test_the_first_frame_knows_theme_and_keys_and_nothing_of_mistakes(file, tmp_path):
    assert peek(file) == Monitor(theme="light")
    assert peek(tmp_path / "none.toml") == Monitor()
    file.write_text("keys = 5\nmonitor = [broken")
    assert peek(file) == Monitor()
    file.write_text("keys = 5\nmonitor = true")
    assert peek(file) == Monitor()


def test_no_screen_has_a_key_for_two_things_by_default():
    for screen, names in KEYS.items():
        keys = [key for of in names.values() for key in of.split(",")]
        assert len(keys) == len(set(keys)), screen
