"""The command of the package: one clear line where another package took a name of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import experience_tui

ROOT = Path(__file__).parents[3]


def command(*path: Path) -> "subprocess.CompletedProcess[str]":
    """`experience-tui --version`, with these folders first on the path."""
    line = "import sys; from experience_tui import main; sys.argv = ['experience-tui', '--version']; main()"
    paths = os.pathsep.join(map(str, (*path, ROOT)))
    return subprocess.run(
        [sys.executable, "-P", "-c", line],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_ours_are_ours():
    assert [experience_tui.shadowed(name) for name in experience_tui.OURS] == ["", ""]
    assert command().stdout.startswith("Experience, version ")


@pytest.mark.parametrize("name", experience_tui.OURS)
def test_another_package_of_that_name_is_named_and_nothing_of_it_runs(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemError('it ran')\n")
    done = command(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    taken = f"experience: {folder / '__init__.py'} belongs to another package, which took the place of ours"
    assert done.stderr.startswith(taken)
    assert done.stderr.count("\n") == 1
    assert "pipx install experience-tui" in done.stderr


def test_a_package_that_is_gone_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert experience_tui.shadowed("tui").startswith("the package tui is not there; install")
