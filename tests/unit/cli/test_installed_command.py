"""The command of the package: one clear line where another package took a name of ours."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import experience_tui
from tests.each import each

ROOT = Path(__file__).parents[3]


def command(*path: Path, entry: str = "main") -> "subprocess.CompletedProcess[str]":
    """`experience-tui --version`, with these folders first on the path."""
    line = f"import sys, experience_tui; sys.argv[1:] = ['--version']; experience_tui.{entry}()"
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


@each("name", experience_tui.OURS)
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


def test_another_package_behind_ours_changes_nothing(tmp_path):
    for name in experience_tui.OURS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemError('it ran')\n")
    done = command(ROOT, tmp_path)
    assert (done.returncode, done.stdout[:11], done.stderr) == (0, "Experience,", "")


@each("name", experience_tui.OURS)
def test_another_package_that_was_unpacked_over_ours_is_named(tmp_path, name):
    """As installers do it: its files replace ours of the same name, the rest of ours stays."""
    place = tmp_path / name
    place.mkdir()
    for each_of_ours in experience_tui.OURS:
        (place / each_of_ours).symlink_to(ROOT / each_of_ours)
    (place / name).unlink()
    shutil.copytree(ROOT / name, place / name)
    (place / name / "__init__.py").write_text("raise SystemError('it ran')\n")
    info = place / f"{name}_of_others-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-of-others\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"{name}/__init__.py,,\n")
    done = command(place)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"{name}/__init__.py belongs to {name}-of-others, which took the place of ours" in done.stderr


def test_the_original_command_line_is_guarded_as_well(tmp_path):
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "__init__.py").write_text("raise SystemError('it ran')\n")
    assert command(tmp_path, entry="core").returncode == 2
    assert command(entry="core").stdout.startswith("Experience, version ")
