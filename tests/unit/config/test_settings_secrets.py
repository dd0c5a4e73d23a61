"""Secrets reach what runs, and nothing else: no repr, no error, no environment."""

import logging
import os
from pathlib import Path

import pytest

from scheduler.config.loader import CitizenSettings, load
from scheduler.core.task import Command
from tests.each import each

SECRET = "hunter2 with blanks"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "opus"
    home.mkdir()
    (home / ".env").write_text(f"TOKEN='{SECRET}'\nexport OTHER=${{TOKEN}}x\nEMPTY=\nLONE\n# TOKEN=no\n")
    return home


def opus(home: Path, own: str, **environ: str) -> CitizenSettings:
    (home / "experience.toml").write_text(own)
    main = home.parent / "main.toml"
    main.touch()
    settings = load(config=main, environ={"EXPERIENCE_ROOT": str(home.parent), **environ})
    return settings.citizens[0]


def test_a_secret_comes_from_the_env_file_else_from_the_environment(home):
    own = (
        "[wake]\ncommand = ['a', 'Bearer ${TOKEN}', '${HOST}', '$${TOKEN}']\nenvironment = { E = '${EMPTY}' }"
    )
    citizen = opus(home, own, HOST="example.org", TOKEN="not this one")
    assert citizen.wake.work == Command(("a", f"Bearer {SECRET}", "example.org", "${TOKEN}"), {"E": ""})


def test_the_env_file_is_read_as_it_is(home):
    before = dict(os.environ)
    assert opus(home, "").secrets == {"TOKEN": SECRET, "OTHER": "${TOKEN}x", "EMPTY": ""}
    assert dict(os.environ) == before


def test_a_number_may_come_from_outside(home):
    (home / ".env").write_text("PRIO=7\nON=no\nDISK=80\nLOAD=1.5")
    own = "priority = '${PRIO}'\nenabled = '${ON}'\ndisk_warning = '${DISK}'\nload_warning = '${LOAD}'"
    heartbeat = next(
        task for task in opus(home, f"[tasks.heartbeat]\n{own}").tasks if task.name == "heartbeat"
    )
    assert (heartbeat.priority, heartbeat.enabled) == (7, False)
    assert (heartbeat.options.disk_warning, heartbeat.options.load_warning) == (80.0, 1.5)


def test_a_missing_secret_names_file_key_and_name(home):
    citizen = opus(home, "[tasks.x]\nevery = '1h'\ncommand = ['a', '${MISSING}', '${TOKEN}']")
    assert citizen.problems == (
        f"{home}/experience.toml: tasks.x.command: "
        f"MISSING is neither in {home}/.env nor in the environment; add it to that file",
    )


def test_a_missing_secret_also_names_the_lines_that_are_none(home):
    (home / ".env").write_text("A=b\nset -a\nif true; then\nB=c\n")
    (line,) = opus(home, "[wake]\ncommand = ['${MISSING}']").problems[:1]
    assert "(no NAME=value there: line 2, 3)" in line


@each(
    "own",
    [
        "workers = '${TOKEN}'",
        "grace = '${TOKEN}'",
        "[wake]\nevery = '${TOKEN}'",
        "[wake]\nhandler = '${TOKEN}'",
        "[wake]\nhandler = '${TOKEN}:f'",
        "[tasks.x]\nevery = '${TOKEN}'",
        "[tasks.x]\ncron = '${TOKEN}'",
        "[tasks.x]\ncron = 'TZ=${TOKEN} * * * * *'",
        "[tasks.x]\ncron = '@daily'\ntimezone = '${TOKEN}'",
        "[tasks.x]\nevery = 1\nenabled = '${TOKEN}'",
        "[tasks.x]\nevery = 1\nenvironment = '${TOKEN}'",
        "[tasks.x]\nevery = 1\ncommand = '${TOKEN}'",
        "[tasks.x]\nevery = 1\ncommand = [['${TOKEN}']]",
        "[tasks.heartbeat]\ndisk_warning = '${TOKEN}'",
        "[tasks.heartbeat]\npeer_stale = '${TOKEN}'",
        "[tasks.heartbeat]\nload_warning = '${TOKEN}'",
        "tasks = '${TOKEN}'",
    ],
)
def test_no_error_shows_a_secret(home, own):
    problems = opus(home, own).problems
    assert problems
    assert not any("hunter2" in line for line in problems), problems


def test_no_repr_and_no_log_shows_a_secret(home, caplog):
    caplog.set_level(logging.DEBUG)
    own = """
        [wake]
        command = ["a", "${TOKEN}"]
        environment = { T = "x${TOKEN}" }
        [tasks.x]
        every = "1h"
        command = ["a", "--token=${TOKEN}"]
        input = "${TOKEN}"
    """
    citizen = opus(home, own, EXPERIENCE_CITIZENS__OPUS__TASKS__Y__COMMAND='["a", "hunter2"]',
                   EXPERIENCE_CITIZENS__OPUS__TASKS__Y__EVERY="1h")  # fmt: skip
    assert citizen.problems == ()
    assert len(citizen.tasks) == 9
    assert next(task for task in citizen.tasks if task.name == "x").work.input == SECRET.encode()
    assert "hunter2" not in repr(citizen)
    assert "hunter2" not in "".join(map(str, citizen.tasks))
    assert "hunter2" not in caplog.text


@each("place", ["folder", "pipe"])
def test_an_env_file_that_is_none(home, place):
    (home / ".env").unlink()
    (home / ".env").mkdir() if place == "folder" else os.mkfifo(home / ".env")
    (line,) = opus(home, "").problems
    assert line.startswith(f"{home}/.env: is ")


def test_an_env_file_that_others_may_read_is_no_error(home):
    (home / ".env").chmod(0o644)
    assert opus(home, "").problems == ()


def test_no_message_quotes_what_came_from_a_name_however_deep(home):
    (home / ".env").write_text("S='hush hush'\n")
    for line in (
        "[tasks.x]\nevery = 1\ncommand = ['x']\nping_on = ['${S}']",
        "[tasks.x]\nevery = 1\ncommand = ['x']\nenvironment = { A = ['${S}'] }",
        "[tasks.x]\nhandler = 'json:${S}'\nevery = 1",
        "[tasks.x]\ncron = '${S} * * * *'\ncommand = ['x']",
        "[tasks.news_scan]\nfeeds = { a = '${S}' }",
        "[tasks.email_check]\nurgent_from = ['a@example.org', '${S}']",
        "[tasks.offsite_backup]\nexclude = ['**${S}']",
        "[alerts]\ncommand = ['x']\non = ['${S}']",
        "[wake]\ntimezone = '${S}'\ncron = '@daily'",
    ):
        problems = opus(home, line).problems
        assert problems, line
        assert not [each for each in problems if "hush" in each], line
