"""One golden case: the files it finds, the commands it runs, and the text that tells what came of them."""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import pytest

from tests.golden import seam

CONFIG = "--config {root}/main.toml"
OWN = "homes/opus/experience.toml"
STATE = "homes/opus/background_tasks.json"
ROOTED = {"EXPERIENCE_ROOT": "{root}/homes"}


@dataclass(frozen=True)
class Case:
    """`{root}` is the case's own folder in every text; `{running}` a note of this process as a run."""

    commands: tuple[str, ...]
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], None] | None = None
    shows: tuple[str, ...] = ()  # files to print at the end
    machine: Callable[[pytest.MonkeyPatch], None] | None = None  # what is different about it

    def play(self, patch: pytest.MonkeyPatch) -> str:
        """Run it in a new folder: all that came of it, as text."""
        # Tables break at blanks, so the folder's name has always the same length.
        root = Path(tempfile.mkdtemp(prefix="golden-", dir="/tmp"))
        try:
            with patch.context() as inner, mock.patch.dict(os.environ, self._environment(root), clear=True):
                seam.look_for_the_main_file_in(root, inner)
                if self.machine:
                    self.machine(inner)
                return _scrubbed("".join(self._shown(root)), root)
        finally:
            shutil.rmtree(root)

    def _shown(self, root: Path) -> Iterator[str]:
        for name, content in self.files.items():
            _write(root / name, content, root)
        if self.prepare:
            self.prepare(root)
        yield from self._given()
        for command in self.commands:
            yield from _run(command, root)
        for name in self.shows:
            yield _block(f"--- {name}", (root / name).read_text() if (root / name).exists() else "")

    def _given(self) -> Iterator[str]:
        """The settings, for the reader of the file."""
        for name, value in self.environ.items():
            yield f"{name}={value}\n"
        for name, content in self.files.items():
            if isinstance(content, str) and name.endswith((".toml", ".env")) and len(content) < 4000:
                yield _block(f"--- {name}", content)

    def _environment(self, root: Path) -> dict[str, str]:
        given = {"HOME": "{root}/home", "PATH": "{root}/bin:" + os.environ["PATH"], "COLUMNS": "80"}
        given |= {"TZ": os.environ["TZ"], "XDG_CONFIG_HOME": "{root}/config", "XDG_DATA_HOME": "{root}/data"}
        return {name: _placed(value, root) for name, value in (given | dict(self.environ)).items()}


def _write(path: Path, content: str | bytes, root: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else _placed(content, root).encode())
    if path.parent.name == "bin":
        path.chmod(0o755)


def _placed(text: str, root: Path) -> str:
    text = text.replace("{running}", seam.running_since(125)) if "{running}" in text else text
    return text.replace("{root}", str(root))


def _scrubbed(text: str, root: Path) -> str:
    text = text.replace(str(root), "{root}").replace(str(seam.CHECKOUT), "{checkout}")
    text = re.sub(r"\b\d{8}T\d{6}_\d{6}Z\b", "{moment}", text)  # the folder of a journal
    return re.sub(rf'(\bpid |"pid": ){os.getpid()}\b', r"\1{pid}", text)


def _block(title: str, text: str) -> str:
    if not text:
        return f"{title}: nothing\n"
    return (
        f"{title}\n{text}" if text.endswith("\n") else f"{title}, no line end behind the last line\n{text}\n"
    )


# ------------------------------------------------------------------ running


def _run(command: str, root: Path) -> Iterator[str]:
    program, *words = shlex.split(_placed(command, root))
    code, out, err = _aside([program, *words]) if program.startswith("./") else _inside(program, words)
    yield f"\n$ {command}\nexit code {code}\n"
    yield _block("--- stdout", out)
    yield _block("--- stderr", err)


def _inside(program: str, words: list[str]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = PROGRAMS[program](words)
    return code, out.getvalue(), err.getvalue()


def _aside(words: list[str]) -> tuple[int, str, str]:
    start = [sys.executable] if words[0].endswith(".py") else []
    done = subprocess.run([*start, *words], cwd=seam.CHECKOUT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def _settings(words: list[str]) -> int:
    """Not a command of this program: the values that the settings in a file result in."""
    print("\n".join(seam.resolved(Path(words[0]), words[1:])))
    return 0


PROGRAMS = {"experience-tui": seam.experience_tui, "core.py": seam.core_py, "settings": _settings}
