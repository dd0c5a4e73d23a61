"""What each command ends with where something is wrong: its exit code, and one line that names the thing."""

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from scheduler.cli.main import run
from tests.each import each
from tui.__main__ import monitor

GOOD = '[tasks.tick]\nevery = "1h"\ncommand = ["true"]\n'
READS = ("status", "next opus", "history opus", "history opus tick", "logs opus tick", "cost", "budget opus")
STEERS = (
    "force opus tick",
    "reset opus tick",
    "pause opus tick",
    "resume opus",
    "stop opus tick",
    "wake opus",
)
EDITS = ("add opus more --every 1h -- true", "disable opus tick", "remove opus tick")


def unreadable_state(root: Path) -> None:
    """A folder in the place of the file: root cannot read it either."""
    (root / "opus" / "background_tasks.json").mkdir()


def unreadable_settings(root: Path) -> None:
    (root / "opus" / "experience.toml").unlink()
    (root / "opus" / "experience.toml").mkdir()


def broken_settings(root: Path) -> None:
    (root / "opus" / "experience.toml").write_text(f'{GOOD}[tasks.bad]\nevery = "often"\n')


def root_that_cannot_be_listed(root: Path) -> None:
    (root / "opus" / "experience.toml").unlink()
    (root / "opus").rmdir()
    root.rmdir()
    root.write_text("")


# What is wrong, and of which commands the exit code is 2 with a line that says this.
WRONG: Mapping[Callable[[Path], None], Mapping[str, tuple[str, ...]]] = {
    unreadable_state: {"background_tasks.json: Is a directory": (*READS, *STEERS, "up opus")},
    unreadable_settings: {
        "experience.toml": (*READS, *STEERS, *EDITS, "check", "check opus", "up opus", "alert --test"),
    },
    broken_settings: {
        "experience.toml: tasks.bad.every: 'often'": (
            *READS, *STEERS, *EDITS, "check", "up opus", "alert --test", "restore opus --list",
        ),
    },
    root_that_cannot_be_listed: {
        "cannot be listed: Not a directory": (
            *READS, *STEERS, *EDITS, "down", "down opus", "up", "init opus", "doctor --alive", "undo opus",
        ),
    },
}  # fmt: skip


def made(root: Path) -> Path:
    (root / "opus").mkdir(parents=True)
    (root / "opus" / "experience.toml").write_text(GOOD)
    return root


@each("wrong", WRONG)
def test_what_cannot_be_read_is_an_error_of_every_command(wrong, tmp_path, monkeypatch, capsys):
    wrong(made(tmp_path / "homes"))
    monkeypatch.setenv("EXPERIENCE_ROOT", str(tmp_path / "homes"))
    for line, commands in WRONG[wrong].items():
        for words in commands:
            code, errors = run(monitor, words.split(), "experience-tui"), capsys.readouterr().err
            named = [each for each in errors.splitlines() if line in each]
            assert (code, len(named)) == (2, 1), f"{words}: {code}: {errors}"


def test_on_a_full_disk_a_command_says_which_file_and_what_is_lost(tmp_path, monkeypatch, capsys):
    root = made(tmp_path / "homes")
    monkeypatch.setenv("EXPERIENCE_ROOT", str(root))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for words, code, said in (
        ("pause opus tick", 1, "it is lost, since no other process runs opus"),
        ("reset opus tick", 1, "it is lost, since no other process runs opus"),
        (
            "budget opus --add 2 --today",
            2,
            f"{root}/opus/.experience/spending.jsonl: No space left on device",
        ),
        ("freeze opus", 2, f"{root}/opus/.experience/freeze.json: No space left on device; make room"),
        ("freeze", 2, "freeze.json: No space left on device; make room"),
        ("init mira", 2, f"{root}/mira/"),
        ("disable opus tick", 2, "No space left on device; make room"),
        ("status", 0, "no process runs opus"),
    ):
        assert (run(monitor, words.split(), "experience-tui"), said in capsys.readouterr().err) == (
            code,
            True,
        ), words
