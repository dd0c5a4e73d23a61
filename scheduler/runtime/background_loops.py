"""Every citizen's loop in the background: start each in a screen session of its own, end them cleanly."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from scheduler.config.loader import CitizenSettings, Settings, load
from scheduler.errors import BadSettings, UnknownCitizen
from scheduler.runtime.stopping import CORE, StopReport, end_all
from scheduler.storage.lock import owner_of
from scheduler.storage.managed import managed_by

LOG = Path("logs", "loop.log")
STARTED_WITHIN = 15.0  # seconds until a started loop must own its citizen
LOOK_EVERY = 0.05


def start_all(
    config: Path | None,
    only: Collection[str] = (),
    *,
    own_as_root: bool = False,
    log_json: bool = False,
) -> int:
    """Start the loop of every citizen that nobody runs, and say how to watch each; gives the exit code."""
    flags = [flag for flag, on in (("--own-as-root", own_as_root), ("--log-json", log_json)) if on]
    flags += ["--config", str(config.resolve())] if config else []
    settings = _known(load(config=config, only=only), only)
    if settings.problems:
        raise BadSettings(settings.problems)
    if not settings.citizens:
        print("no citizens yet: ./run.sh opus makes the first")
        return 0
    started = [(citizen, _start(citizen, flags, own_as_root)) for citizen in settings.citizens]
    return _report(_outcome(citizen, start) for citizen, start in started)


def stop_all(config: Path | None, only: Collection[str] = ()) -> int:
    """End the loops that `start_all` or `./run.sh NAME` started, and nothing else; gives the exit code."""
    settings = _known(load(config=config, only=only), only)
    for problem in settings.problems:  # a broken file is no reason to let loops run on
        print(f"experience: {problem}", file=sys.stderr)
    wrong = [False]

    def say(told: StopReport) -> None:
        wrong.append(told.wrong)
        _print(told)

    if not asyncio.run(end_all(settings.citizens, say)):
        print("no loop is running")
    return 2 if any(wrong) else 0


def _known(settings: Settings, names: Collection[str]) -> Settings:
    for name in names:
        if name not in settings.known:
            raise UnknownCitizen(name, settings.known)
    return settings


def _report(results: Iterable[StopReport]) -> int:
    wrong = False
    for told in results:
        _print(told)
        wrong = wrong or told.wrong
    return 2 if wrong else 0


def _print(told: StopReport) -> None:
    print(told.text, file=sys.stderr if told.wrong else sys.stdout, flush=True)


# ------------------------------------------------------------------ start


@dataclass(frozen=True)
class _Loop:
    """A process of its own: how to see what it says, and whether it is gone."""

    view: str
    ended: Callable[[], bool]


def _start(citizen: CitizenSettings, flags: list[str], own_as_root: bool) -> _Loop | StopReport:
    """A loop that begins, or why none does."""
    name, owner = citizen.name, owner_of(citizen.home)
    if unit := managed_by(citizen.home):
        how = f", which runs it, pid {owner.pid}" if owner else f"; start it with {unit.systemctl('start')}"
        return StopReport(f"{name}: left to {unit.name}.service{how}")
    if owner:
        return StopReport(f"{name}: runs already, pid {owner.pid}")
    if citizen.problems:
        return _refused(name, citizen.problems[0])
    try:
        if reason := _not_ours(citizen.home, own_as_root):
            return _refused(name, reason)
        command = [sys.executable, str(CORE), "--citizen", name, "--loop", *flags]
        return _in_screen(citizen, command) or _detached(citizen, command)
    except OSError as error:
        return _refused(name, f"{error.filename or citizen.home}: {error.strerror}")


def _refused(name: str, reason: str) -> StopReport:
    return StopReport(f"{name}: not started: {reason}", wrong=True)


def _outcome(citizen: CitizenSettings, start: _Loop | StopReport) -> StopReport:
    """Wait until the loop owns its citizen, or is gone."""
    if isinstance(start, StopReport):
        return start
    name = citizen.name
    _comes_true(lambda: owner_of(citizen.home) or start.ended(), STARTED_WITHIN)
    if owner_of(citizen.home):
        return StopReport(f"{name}: started; to watch it: {start.view}")
    return StopReport(f"{name}: did not start; ./run.sh {name} shows why", wrong=True)


def _not_ours(home: Path, own_as_root: bool) -> str:
    """The loop would refuse another user's home itself; here it keeps root's log out of that home."""
    owner, we = home.stat().st_uid, os.geteuid()
    if owner == we or (we == 0 and own_as_root):
        return ""
    return f"{home} belongs to user {owner}, this is user {we}"


def _in_screen(citizen: CitizenSettings, command: list[str]) -> _Loop | None:
    """Start it in a detached screen session; None where screen is missing or cannot."""
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
    return _Loop(f"screen -r {session}", lambda: not _session_exists(session))


def _session_exists(session: str) -> bool:
    listed = subprocess.run(["screen", "-ls", session], capture_output=True, text=True, check=False)
    return any(word.endswith(f".{session}") for word in listed.stdout.split())


def _detached(citizen: CitizenSettings, command: list[str]) -> _Loop:
    """Start it as a process without a terminal, its log in a file."""
    log = citizen.home / LOG
    log.parent.mkdir(exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW  # a link here could name any file of ours
    output = os.open(log, flags, 0o600)
    try:
        process = subprocess.Popen(
            command,
            cwd=citizen.home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    finally:
        os.close(output)
    return _Loop(f"tail -f {log}", lambda: process.poll() is not None)


def _comes_true(condition: Callable[[], object], seconds: float) -> bool:
    for _ in range(round(seconds / LOOK_EVERY)):
        if condition():
            return True
        time.sleep(LOOK_EVERY)
    return bool(condition())
