"""A shell completes citizens, their tasks and options, by click's own protocol."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.loops import ROOT, Place, everything_in
from tests.each import each

NAMED = '[tasks.{name}]\nevery = "1h"\ncommand = ["true"]\ndescription = "{text}"\n'


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    Place(tmp_path, "mira")
    (place.home / "experience.toml").write_text(NAMED.format(name="steps", text="three steps"))
    (tmp_path / "mira" / "experience.toml").write_text(NAMED.format(name="stones", text=""))
    launcher = tmp_path / "bin" / "experience-tui"
    launcher.parent.mkdir()
    launcher.write_text(f"#!/bin/sh\nexec '{sys.executable}' -P -m tui \"$@\"\n")
    launcher.chmod(0o755)
    return place


def environment(place: Place) -> dict[str, str]:
    path = f"{place.root / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**place.environment(), "PATH": path, "PYTHONPATH": str(ROOT)}


def bash(place: Place, *words: str) -> list[str]:
    """What bash offers for the last word, after its own start-up file has done what the README says."""
    script = (
        'eval "$(experience-tui completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));'
        ' "$(complete -p experience-tui | sed "s/.*-F \\([^ ]*\\) .*/\\1/")" experience-tui;'
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    argv = ["bash", "--norc", "-c", script, "bash", "experience-tui", *words]
    done = subprocess.run(
        argv, env=environment(place), capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def protocol(place: Place, shell: str, words: str, begun: str) -> list[str]:
    asked = {
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
        "_EXPERIENCE_TUI_COMPLETE": f"{shell}_complete",
    }
    asked |= {"COMP_CWORD": begun} if shell == "fish" else {}
    done = subprocess.run(
        ["experience-tui"],
        env={**environment(place), **asked},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_bash_completes_verbs_citizens_tasks_and_options(place):
    before = everything_in(place.root)
    assert bash(place, "hist") == ["history"]
    assert bash(place, "force", "") == ["mira", "opus"]
    assert bash(place, "pause", "opus", "st") == ["steps"]
    assert bash(place, "force", "opus", "--wa") == ["--wait"]
    assert everything_in(place.root) == before


@each(
    "words, offered",
    [
        (("force", "opus,m"), ["opus,mira"]),
        (("force", "opus,"), ["opus,mira"]),
        (("reset", "opus,mira", "st"), ["steps", "stones"]),
        (("reset", "opus", "steps", "st"), []),
        (("resume", "--all", "st"), ["steps", "stones"]),
        (("history", "mira", "st"), ["stones"]),
        (("status", "opus", ""), ["mira"]),
        (("force", "unknown", "st"), []),
        (("service", "install", "mi"), ["mira"]),
        (("restore", "op"), ["opus"]),
        (("--citizen", "mi"), ["mira"]),
        (("completion", "z"), ["zsh"]),
    ],
)
def test_what_is_offered_fits_what_is_there(place, words, offered, monkeypatch):
    """In this process, as the shells' functions ask for it."""
    from click.shell_completion import ShellComplete

    from tui.__main__ import monitor

    monkeypatch.setenv("EXPERIENCE_CONFIG", str(place.config))
    completer = ShellComplete(monitor, {}, "experience-tui", "_EXPERIENCE_TUI_COMPLETE")
    found = completer.get_completions(list(words[:-1]), words[-1])
    assert [item.value for item in found] == offered


def test_zsh_and_fish_also_get_what_a_task_is_for(place):
    assert protocol(place, "zsh", "experience-tui force opus st", "st")[:3] == [
        "plain",
        "steps",
        "three steps",
    ]
    assert protocol(place, "fish", "experience-tui force opus", "st") == ["plain,steps\tthree steps"]


def test_settings_that_cannot_be_read_offer_nothing_and_say_nothing(place):
    place.config.write_text("root = 7\n")
    assert bash(place, "force", "") == []
    place.config.unlink()
    assert bash(place, "force", "") == []


@each("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(place, shell):
    done = subprocess.run(
        ["experience-tui", "completion", shell],
        env=environment(place),
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"_EXPERIENCE_TUI_COMPLETE={shell}_complete" in done.stdout
