"""Terminals of all ages: other encodings, signs that fonts lack, folders whose names are not text."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich._emoji_codes import EMOJI

from tests.each import each
from tests.fakes import until
from tests.integration.terminal import ROOT, opened
from tui.glyphs import ASCII, UNICODE, can_draw

pytestmark = pytest.mark.timeout(60)

SETTINGS = '[tasks.note]\nevery = "24h"\npriority = 0\ncommand = ["true"]\n'
OLD_ENCODINGS = ("ascii", "latin-1", "koi8-r", "cp437")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "settings.toml").write_text("")
    return {"EXPERIENCE_CONFIG": str(tmp_path / "settings.toml"), "HOME": str(tmp_path)}


def test_no_sign_turns_into_a_picture_of_two_cells() -> None:
    """Sources: textual 1164, wezterm 841: terminals draw a sign that has an emoji form in two cells."""
    pictures = {emoji[0] for emoji in EMOJI.values()}
    others = (
        value for value in (getattr(UNICODE, name) for name in UNICODE.__slots__) if isinstance(value, str)
    )
    assert not pictures & {sign for text in (*UNICODE.kind.values(), *others) for sign in text}


def test_a_sign_and_its_ascii_form_are_both_unambiguous() -> None:
    for glyphs in (UNICODE, ASCII):
        assert len(set(glyphs.kind.values())) == len(glyphs.kind)


@pytest.mark.parametrize("encoding", OLD_ENCODINGS)
async def test_a_terminal_of_1990_shows_ascii_by_itself(encoding: str, environment: dict[str, str]) -> None:
    """Sources: toot 223 (Latin-1), textual 4156 (ISO-8859-1): every sign is a question mark."""
    with opened("-m", "tui", "--demo", environment={**environment, "PYTHONIOENCODING": encoding}) as terminal:
        await until(lambda: "heartbeat" in terminal.text, "the demo is on screen", 30)
        assert "+ heartbeat" in terminal.text
        assert not [line for line in terminal.text.splitlines() if "? heartbeat" in line]


@each("encoding", ["utf-8", "utf-16", "gb18030"])
def test_a_terminal_that_has_all_signs_shows_them(encoding: str) -> None:
    assert can_draw(encoding)


def status(environment: dict[str, str], **more: str) -> str:
    words = [sys.executable, "core.py", "--citizen", "opus", "--status"]
    around = {**os.environ, **environment, **more}
    return subprocess.run(words, cwd=ROOT, env=around, capture_output=True, check=False).stdout.decode()


def test_status_in_an_old_encoding_keeps_signs_apart(tmp_path: Path, environment: dict[str, str]) -> None:
    """Source: toot 223: what ran, failed and never ran all begin with the same question mark."""
    (tmp_path / "root" / "opus").mkdir(parents=True)
    (tmp_path / "root" / "opus" / "experience.toml").write_text(SETTINGS)
    root = {"EXPERIENCE_ROOT": str(tmp_path / "root")}
    assert "  ○ note: never ran" in status(environment, **root, PYTHONIOENCODING="utf-8")
    assert "  o note: never ran" in status(environment, **root, PYTHONIOENCODING="latin-1")


def test_a_folder_whose_name_is_not_text_has_a_history(tmp_path: Path, environment: dict[str, str]) -> None:
    """Sources: restic, borg and tar users' file names: no history, and a traceback for each run."""
    root = os.fsencode(tmp_path) + b"/ro\xff?#"
    home = Path(os.fsdecode(root + b"/opus"))
    home.mkdir(parents=True)
    (home / "experience.toml").write_text(SETTINGS)
    words = [sys.executable, "-m", "tui"]
    around = {
        **os.environb,
        **{os.fsencode(k): os.fsencode(v) for k, v in environment.items()},
        b"EXPERIENCE_ROOT": root,
    }
    forced = subprocess.run(
        [*words, "force", "opus", "note"], cwd=ROOT, env=around, capture_output=True, check=False
    )
    shown = subprocess.run(
        [*words, "history", "opus"], cwd=ROOT, env=around, capture_output=True, check=False
    )
    assert b"Traceback" not in forced.stderr + shown.stderr
    assert b"note" in shown.stdout
