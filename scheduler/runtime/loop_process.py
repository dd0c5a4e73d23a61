"""The process of a loop: its command, its start (in screen or without a terminal), and its recognition."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scheduler.config.loader import CitizenSettings
from scheduler.process.process_info import Running
from scheduler.system.foreign_home import Refused, closed_after, make_folder, open_file

CORE = Path(__file__).resolve().parents[2] / "core.py"
LOG = Path("logs", "loop.log")


@dataclass(frozen=True)
class NewLoop:
    """A loop just started: the command that shows its output, and whether it has ended."""

    watch_command: str
    ended: Callable[[], bool]


def program() -> list[str]:
    """The words that start a loop: core.py in a checkout, the installed package anywhere else."""
    checkout = CORE.is_file() and CORE.with_name("run.sh").is_file()  # else another package's core.py
    return [str(CORE), "--loop"] if checkout else ["-P", "-m", "tui", "--no-ui"]


def loop_command(names: Sequence[str], flags: Sequence[str] = ()) -> list[str]:
    """The command of one loop for these citizens."""
    return [sys.executable, *program(), "--citizen", ",".join(names), *flags]


def in_screen(citizen: CitizenSettings, command: list[str]) -> NewLoop | None:
    """Start the loop in a detached screen session; None if screen is missing or fails."""
    session = f"experience_{citizen.name}"
    if shutil.which("screen") is None:
        return None
    started = subprocess.run(
        ["screen", "-dmS", session, *command],
        cwd=citizen.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if started.returncode != 0:
        return None
    return NewLoop(f"screen -r {session}", lambda: not _session_exists(session))


def _session_exists(session: str) -> bool:
    sessions = subprocess.run(["screen", "-ls", session], capture_output=True, text=True, check=False)
    return any(word.endswith(f".{session}") for word in sessions.stdout.split())


def detached(home: Path, command: Sequence[str]) -> NewLoop:
    """Start the loop as a process without a terminal, with its log in a file."""
    process = spawn(home, command)
    return NewLoop(f"tail -f {home / LOG}", lambda: process.poll() is not None)


def spawn(home: Path, command: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start the process in its own session; raises OSError."""
    log = home / LOG
    make_folder(log.parent)
    if log.is_symlink():  # a link could point to any of this user's files
        raise Refused("a link", log)
    with closed_after(open_file(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)) as output:
        return subprocess.Popen(
            command, cwd=home, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )


def is_loop(owner: Running, citizen: CitizenSettings) -> bool:
    """Whether this process is a loop of the citizen, since the note may name any pid."""
    import psutil  # slow (10 ms), so the monitor imports it only to pass something on

    try:
        words = psutil.Process(owner.pid).cmdline()
    except psutil.Error:
        return False
    names = {name for word in words for name in word.split(",")}
    core = any(Path(word).name == CORE.name for word in words[:3]) and {"--loop", citizen.name} <= names
    rest = words[words.index("tui") + 1 :] if "tui" in words else []
    headless = "--no-ui" in rest or rest[:1] in (["loop"], [citizen.name])
    return (core or headless) and user_of(owner.pid) == citizen.home.stat().st_uid


def user_of(pid: int) -> int | None:
    import psutil

    try:
        return int(psutil.Process(pid).uids().effective)
    except psutil.Error:
        return None
