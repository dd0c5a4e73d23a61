"""Files and folders that are closed to the user who asks: one line with the fix, and exit code 2."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from scheduler.cli.main import run
from tests.each import each
from tests.ordinary_user import home_of_an_ordinary_user, ordinary_user
from tui.__main__ import monitor

TASK = '[tasks.disk]\nevery = "1h"\ncommand = ["true"]\n'
SETTINGS = "homes/opus/experience.toml"
CLOSED = {  # what is closed: what the line begins with, and its end
    "homes": ("homes: cannot be listed", "correct root, or the folder's permissions"),
    "homes/opus": (f"{SETTINGS}: cannot be read", "correct the opus/ folder's permissions"),
    SETTINGS: (f"{SETTINGS}: cannot be read", "correct its permissions"),
    "homes/opus/.env": ("homes/opus/.env: cannot be read", "correct its permissions"),
    "main": ("main/experience.toml: cannot be read", "correct the main/ folder's permissions"),
}
COMMANDS = (
    *("check", "check opus", "status", "next opus", "next --days 2", "history opus", "logs opus disk"),
    *("cost", "budget opus", "up opus"),
)


@each("closed, says", CLOSED.items())
def test_each_command_says_what_is_closed_and_how_to_open_it(
    closed: str, says: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    begins, ends = says
    with prepared() as (place, config), ordinary_user():
        (place / closed).chmod(0)
        try:
            for words in COMMANDS:
                assert run(monitor, [*words.split(), "--config", str(config)]) == 2, words
                said = capsys.readouterr().err.splitlines()
                assert len(said) == 1 and f"{place}/{begins}: Permission denied; {ends}" in said[0], words
        finally:
            (place / closed).chmod(0o700)


def test_one_home_that_is_closed_hides_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    with prepared() as (place, config), ordinary_user():
        mira = place / "homes/mira"
        mira.mkdir()
        (mira / "experience.toml").write_text(TASK)
        (mira / "background_tasks.json").write_text("{}")
        (mira / "background_tasks.json").chmod(0)
        assert run(monitor, ["status", "--config", str(config)]) == 2
        out, err = capsys.readouterr()
        assert "disk: never ran" in out and "mira/background_tasks.json: Permission denied" in err


@contextlib.contextmanager
def prepared() -> Iterator[tuple[Path, Path]]:
    """An ordinary user's root with opus in it, and its main file."""
    with home_of_an_ordinary_user() as place:
        with ordinary_user():
            config = _settings(place)
        for words in COMMANDS:  # import what they need: Python's own folder may be closed to others, too
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                run(monitor, [*words.replace("up opus", "up nova").split(), "--config", str(config)])
        with mock.patch.dict(os.environ, EXPERIENCE_ROOT=f"{place}/homes"):  # where no main file says it
            yield place, config


def _settings(place: Path) -> Path:
    opus, main = place / "homes/opus", place / "main/experience.toml"
    opus.mkdir(parents=True)
    (opus / "experience.toml").write_text(TASK)
    (opus / ".env").write_text("A=1\n")
    main.parent.mkdir()
    main.write_text(f'root = "{place}/homes"\n')
    return main
