"""Runs restic: sets its environment, reads its output, and explains its failures."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.core.task import Context
from scheduler.errors import TaskFailed
from scheduler.executors.child import SpawnRequest
from scheduler.executors.environment import MARK, new_mark
from scheduler.executors.output import OutputBuffer
from scheduler.executors.subprocesses import SubprocessPool
from scheduler.handlers.offsite_backup.files import OWN, scrubbed
from scheduler.handlers.offsite_backup.options import Options
from scheduler.process.process_info import Running
from scheduler.system.foreign_home import User, other_user_of

GRACE = 3.0  # seconds to end by itself when the run is cancelled
LONGEST = 1 << 20  # bytes of the longest line that is read
BUSY = (1, 2, 4, 8, 15, 30, 60)  # seconds between two tries while the repository is in use
# Variables for back ends that are passed on from the citizen's .env though the settings do not name them.
BACK_ENDS = ("AWS_", "AZURE_", "B2_", "GOOGLE_", "OS_", "RCLONE_", "RESTIC_", "ST_")
# The part of root's environment that another user's restic gets, since that user can read it.
SHARED = {
    "PATH",
    "TZ",
    "LANG",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
}
# Variables that restic would use in addition to the settings, or even prefer.
_RESERVED = re.compile(r"RESTIC_(REPOSITORY|PASSWORD|KEY|CACHE|PROGRESS).*")

Listen = Callable[[Mapping[str, Any]], None]


class NoRepository(TaskFailed):
    """The place can be reached but holds no repository."""


class Busy(TaskFailed):
    """Another process holds a lock on the repository."""


@dataclass(frozen=True, slots=True)
class ResticResult:
    """The exit code of restic, and its first and last output without secrets."""

    code: int | None
    text: str

    @property
    def last_line(self) -> str:
        """The line with the reason: restic's fatal error, else its last line."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        fatal = [line.removeprefix("Fatal: ") for line in lines if line.startswith("Fatal: ")]
        return (fatal or lines or ["no output"])[-1][:500]


class Restic:
    """One repository and its password; secrets are passed only in the environment."""

    def __init__(self, ctx: Context, options: Options) -> None:
        # Settings choose PATH and what restic runs, so under root it gets only the rights of the home's user.
        self._user = other_user_of(ctx.home)
        self._environment = _environment(ctx, options, self._user)
        self._hidden = [*ctx.secrets.values(), *(options.environment or {}).values(), options.password or ""]
        self._processes = SubprocessPool(1, GRACE)
        self._log, self._progress = ctx.log, ctx.progress

    async def run(self, folder: Path, *words: str, listen: Listen | None = None) -> ResticResult:
        """Run restic with these arguments in this folder; raises TaskFailed if it fails.

        Exit code 3 (some files are unreadable) is not a failure. On cancel, returns once restic has ended.
        """
        output, mark = _Lines(listen), new_mark()
        environment = {**self._environment, MARK: mark, "PWD": str(folder)}
        request = SpawnRequest((*_program(), *words), environment, folder, mark, user=self._user)
        code = await self._processes.run(lambda: request, _Watcher(output, self._log.warning))
        ended = ResticResult(code, scrubbed(output.text(), self._hidden))
        if code in (0, 3):
            return ended
        raise failure(ended)

    async def version(self) -> tuple[int, ...]:
        """The version of restic; (0,) if it is unknown."""
        found = re.search(r"restic (\d+)\.(\d+)", (await self.run(Path("/"), "version")).text)
        return tuple(map(int, found.groups())) if found else (0,)

    async def run_alone(self, folder: Path, *words: str) -> ResticResult:
        """The same for commands that need the repository alone: waits a few minutes for other processes."""
        for pause in BUSY:
            try:
                return await self.run(folder, *words)
            except Busy:
                self._progress(0, 0, "waiting for another backup")
                await asyncio.sleep(pause)
                # A restic killed a moment ago may still have had its pid, so that its lock seemed alive.
                await self.run(folder, "unlock")
        return await self.run(folder, *words)


def failure(ended: ResticResult) -> TaskFailed:
    """The error for a failure of restic."""
    if ended.code == 10 or _is_missing(ended.text):
        return NoRepository("there is no repository yet")
    if meaning := _CODES.get(ended.code):
        return _failed(meaning, ended.last_line)
    for pattern, meaning in _MEANINGS.items():
        if found := re.search(pattern, ended.text, re.IGNORECASE):
            return _failed(meaning, _line_of(ended.text, found))
    return TaskFailed(f"restic failed: {ended.last_line}")


def _failed(meaning: str, line: str) -> TaskFailed:
    return (Busy if meaning is _LOCKED else TaskFailed)(f"{meaning} ({line})")


def _is_missing(text: str) -> bool:
    """Whether the repository is missing, rather than out of reach or forbidden."""
    absent = r"unable to open config file: .*(no such file or directory|does not exist|not found|NoSuchKey)"
    return "Is there a repository" in text and bool(re.search(absent, text)) and "no such host" not in text


_PASSWORD = "the password does not open the repository; correct it"
_LOCKED = "the repository is in use"
_CODES: dict[int | None, str] = {11: _LOCKED, 12: _PASSWORD}  # since restic 0.17; before, all of them are 1
_MEANINGS = {
    "wrong password or no key": _PASSWORD,
    "already locked|unable to create lock.*locked": _LOCKED,
    "no space left|quota exceeded|file too large|insufficient storage|disk full": (
        "the repository's disk is full; make room, the next run goes on from there"
    ),
    "read-only file system": "the repository's disk is read-only; make it writable",
    "dial tcp|connection re(fused|set)|no such host|i/o timeout|network is unreachable|broken pipe|EOF": (
        "the repository cannot be reached; try again, or correct repository"
    ),
    "x509|certificate": "the repository's certificate is not accepted",
    "permission denied|access ?denied|unauthorized|forbidden|[( ]40[13]\\b": (
        "the repository refuses access: correct its permissions, or the access keys in environment"
    ),
    "all (target|source) directories/files do not exist": "the home has vanished",
    "repository contains errors|ciphertext verification failed|invalid data|hash does not match|"
    "not found in index|tree .* could not be loaded|pack .* does not exist": (
        "the repository is damaged: see restic check, then restic rebuild-index or a new repository"
    ),
}


def _line_of(text: str, found: re.Match[str]) -> str:
    start = text.rfind("\n", 0, found.start()) + 1
    line = text[start:].partition("\n")[0]
    return line.strip().removeprefix("Fatal: ")[:300]


def _program() -> tuple[str, ...]:
    if shutil.which("restic") is None:
        raise TaskFailed("restic is not installed; install it, or set directory in place of repository")
    # restic uses every processor: without `nice` the loop was up to 0.18 s late, with it 0.06 s.
    return ("nice", "-n", "10", "restic") if shutil.which("nice") else ("restic",)


def _environment(ctx: Context, options: Options, other: User | None) -> dict[str, str]:
    environ = {name: os.environ[name] for name in SHARED & os.environ.keys()} if other else os.environ
    around = {k: v for k, v in environ.items() if not _RESERVED.fullmatch(k)}
    if str(options.repository).startswith("rclone:"):
        around.pop("AWS_CA_BUNDLE", None)  # rclone 1.60 fails while it is set
    of_back_ends = {
        k: v for k, v in ctx.secrets.items() if k.startswith(BACK_ENDS) and not _RESERVED.fullmatch(k)
    }
    password = options.password or ctx.secrets.get("RESTIC_PASSWORD") or environ.get("RESTIC_PASSWORD")
    if not password:
        where = 'put RESTIC_PASSWORD into .env and set password = "${RESTIC_PASSWORD}"'
        raise TaskFailed(f"the repository has no password; {where}")
    own = {"RESTIC_REPOSITORY": str(options.repository), "RESTIC_PASSWORD": password}
    # Twice a second, so that a restic whose scheduler was killed soon writes to a closed pipe and ends.
    output = {"RESTIC_PROGRESS_FPS": "2", "LC_ALL": "C.UTF-8"}
    cache = {"RESTIC_CACHE_DIR": str(ctx.home / OWN / "cache")} if ctx.home.is_dir() else {}
    return {**around, **of_back_ends, **(options.environment or {}), **own, **output, **cache}


class _Lines(OutputBuffer):
    """Keeps plain lines, bounded; hands each line of JSON to `listen`, a list as its `found`."""

    def __init__(self, listen: Listen | None) -> None:
        super().__init__()
        self._listen, self._partial_line = listen, b""

    def write(self, data: bytes) -> None:
        if self._listen is None:
            super().write(data)
            return
        *lines, rest = (self._partial_line + data).split(b"\n")
        self._partial_line = rest if len(rest) <= LONGEST else b""
        for line in lines:
            if (message := _message(line)) is None:
                super().write(line + b"\n")
            else:
                self._listen(message)

    def text(self) -> str:
        return super().text() + self._partial_line.decode("utf-8", "replace")


def _message(line: bytes) -> dict[str, Any] | None:
    if not line.startswith((b"{", b"[{", b"[]")):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else {"found": found}


class _Watcher:
    """The listener for SubprocessPool: restic is only a step of a run inside this process."""

    def __init__(self, output: OutputBuffer, warn: Callable[..., None]) -> None:
        self.output, self._warn = output, warn

    async def carried_by(self, running: Running) -> None:
        """Record nothing: after a crash of the scheduler restic ends by itself."""

    def exited(self) -> None:
        """Do nothing: the step around it has the deadline."""

    def left_behind(self, what: str, alive: Callable[[], bool], process: Running | None = None) -> None:
        self._warn("restic does not end: %s", what)
