"""Loops in the background: starts one per citizen, each in its own screen session, and stops them."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from scheduler.config.loader import CitizenSettings, load
from scheduler.control.wire.client import Connection
from scheduler.errors import NO_CITIZENS, PROGRAM, Disconnected, SchedulerError, Unreadable, WrongOwner
from scheduler.process.process_info import Running, alive, born
from scheduler.runtime.loop_process import NewLoop, detached, in_screen, is_loop, loop_command, user_of
from scheduler.storage.lock import MONITOR, managed_by, owner_of, role_of
from scheduler.storage.state_file import StateFile
from scheduler.system.unix_socket import client_socket, is_foreign

POLL_EVERY = 0.05  # seconds
STARTED_WITHIN = 60.0  # seconds within which a started loop must own its citizen, on a busy machine, too
PASSED_WITHIN = 15.0  # seconds within which a monitor passes on what is not running
AFTER_GRACE = 15.0  # seconds on top of the grace that running tasks get
AFTER_SIGTERM = 7.0  # seconds after a second request, which leaves tasks no grace
AFTER_SIGKILL = 5.0  # seconds; a process that hangs in the kernel stays


@dataclass(frozen=True, slots=True)
class LoopReport:
    """One line about one citizen's loop; `failed` makes the exit code 2."""

    text: str
    failed: bool = False


def start_all(
    config: Path | None,
    only: Collection[str] = (),
    *,
    own_as_root: bool = False,
    log_json: bool = False,
    take_over: bool = False,
) -> int:
    """Start the loop of every citizen without an owner and print how to watch it; return the exit code.

    With `take_over`, monitors pass what they run to a loop.
    """
    flags = [flag for flag, on in (("--own-as-root", own_as_root), ("--log-json", log_json)) if on]
    flags += ["--config", str(config.resolve())] if config else []
    settings = load(config=config, only=only)
    settings.chosen(only)
    settings.valid()
    if not settings.citizens:
        print(NO_CITIZENS)
        return 0
    if take_over:
        asyncio.run(ask_to_hand_over(settings.citizens))
    started = [(citizen, _start(citizen, flags, own_as_root)) for citizen in settings.citizens]
    return _exit_code(_print(_wait_until_started(citizen, start)) for citizen, start in started)


def stop_all(config: Path | None, only: Collection[str] = ()) -> int:
    """End loops, in the background or the foreground, and nothing else; return the exit code."""
    settings = load(config=config, only=only)
    settings.chosen(only)
    for problem in settings.problems:  # loops can be stopped even if a settings file has errors
        print(f"experience: {problem}", file=sys.stderr)
    others = {name: settings.root / name for name in settings.known if only and name not in only}
    reports = asyncio.run(stop_loops(settings.citizens, _print, others))
    reports += [_print(each) for each in _foreign(settings.citizens, only)]
    if not (reports or settings.problems):
        print("no loop is running")
    return 2 if settings.problems else _exit_code(reports)


def _foreign(citizens: Iterable[CitizenSettings], only: Collection[str]) -> Iterator[LoopReport]:
    """Other users' citizens, whose owners this user cannot see."""
    for each in citizens:
        if is_foreign(each.home) and not owner_of(each.home):
            yield LoopReport(
                f"{each.name}: its home is another user's; end its loop as that user", bool(only)
            )


def _exit_code(reports: Iterable[LoopReport]) -> int:
    return 2 if [report for report in reports if report.failed] else 0


def _print(report: LoopReport) -> LoopReport:
    print(report.text, file=sys.stderr if report.failed else sys.stdout, flush=True)
    return report


# ------------------------------------------------------------------ start


def _start(citizen: CitizenSettings, flags: list[str], own_as_root: bool) -> NewLoop | LoopReport:
    """Start a loop; return it, or the report why none was started."""
    try:
        return _start_free(citizen, flags, own_as_root)
    except Unreadable as error:
        return _not_started(citizen.name, str(error))
    except OSError as error:
        why = f"{error.filename or citizen.home}: {error.strerror}"
        return _not_started(citizen.name, (*citizen.problems, why)[0])


def _start_free(citizen: CitizenSettings, flags: list[str], own_as_root: bool) -> NewLoop | LoopReport:
    name, owner = citizen.name, owner_of(citizen.home)
    if unit := managed_by(citizen.home):
        how = f", which runs it, pid {owner.pid}" if owner else f"; start it with {unit.systemctl('start')}"
        return LoopReport(f"{name}: left to {unit.name}.service{how}")
    if owner and role_of(citizen.home) == MONITOR:
        inside = f"runs inside a monitor (pid {owner.pid}) and stops when that is closed"
        return LoopReport(f"{name}: {inside}; {PROGRAM} up --take-over keeps it running")
    if owner:
        return LoopReport(f"{name}: runs already, pid {owner.pid}")
    if citizen.problems:
        return _not_started(name, citizen.problems[0])
    if reason := _why_not_allowed(citizen.home, own_as_root):
        return _not_started(name, reason)
    StateFile(citizen.home).peek()  # what the loop would refuse is said here, not only in its log
    command = loop_command([name], flags)
    return in_screen(citizen, command) or detached(citizen.home, command)


async def ask_to_hand_over(citizens: Iterable[CitizenSettings]) -> None:
    """Ask the monitors of these citizens to pass everything they run to a loop, and wait for it."""
    inside = [each for each in citizens if role_of(each.home) == MONITOR]
    monitors = {owner.pid: each for each in inside if (owner := owner_of(each.home))}
    for each in monitors.values():
        connection = await Connection.open(client_socket(each.name, each.home))
        try:
            await connection.ask("hand_over")
        finally:
            connection.close()
    for _ in range(round(PASSED_WITHIN / POLL_EVERY)):
        if not _still_inside(inside, monitors):
            return
        await asyncio.sleep(POLL_EVERY)
    for each in _still_inside(inside, monitors):
        what = "something of it runs; the monitor passes it on when that has ended"
        print(f"{each.name}: {what}", file=sys.stderr)


def _still_inside(citizens: Iterable[CitizenSettings], monitors: Collection[int]) -> list[CitizenSettings]:
    owners = ((each, owner_of(each.home)) for each in citizens)
    return [each for each, owner in owners if owner is None or owner.pid in monitors]


def _not_started(name: str, reason: str) -> LoopReport:
    return LoopReport(f"{name}: not started: {reason}", failed=True)


def _wait_until_started(citizen: CitizenSettings, start: NewLoop | LoopReport) -> LoopReport:
    """Wait until the loop owns its citizen or has ended."""
    if isinstance(start, LoopReport):
        return start
    name, end = citizen.name, time.monotonic() + STARTED_WITHIN
    while not owner_of(citizen.home) and not start.ended() and time.monotonic() < end:
        time.sleep(POLL_EVERY)
    if owner_of(citizen.home):
        return LoopReport(f"{name}: started; to watch it: {start.watch_command}")
    if not start.ended():  # the machine may be busy
        late = f"still starts after {STARTED_WITHIN:g}s; to watch it: {start.watch_command}"
        return LoopReport(f"{name}: {late}", failed=True)
    return LoopReport(f"{name}: did not start; {PROGRAM} loop {name} shows why", failed=True)


def _why_not_allowed(home: Path, own_as_root: bool) -> str:
    """Why this user may not start the loop, which would refuse only after making its log in that home."""
    owner, user = home.stat().st_uid, os.geteuid()
    if owner == user or (user == 0 and own_as_root):
        return ""
    return f"{home} belongs to user {owner}, this is user {user}"


# ------------------------------------------------------------------ stop


@dataclass(frozen=True, slots=True)
class _Stopping:
    """A process that was asked to end; only one that is `certain` to be a loop is killed."""

    process: Running
    certain: bool


class _LeftAlone(Exception):
    """`--stop` does not end this owner; the text gives the reason."""


async def stop_loops(
    citizens: Iterable[CitizenSettings],
    report: Callable[[LoopReport], object],
    others: Mapping[str, Path] | None = None,
) -> list[LoopReport]:
    """Stop all loops at the same time and report on them in order; one that also runs `others` continues."""
    processes: dict[Running, list[CitizenSettings]] = {}
    for citizen in citizens:
        if owner := owner_of(citizen.home):
            processes.setdefault(replace(owner, since=0.0), []).append(citizen)
    reports = []
    # A process with several citizens gets one request: a second one would end the grace of its tasks.
    shared: dict[int, list[str]] = {}
    for name, home in (others or {}).items():
        if owner := owner_of(home):
            shared.setdefault(owner.pid, []).append(name)
    stops = [_stop(owner, some, shared.get(owner.pid, [])) for owner, some in processes.items()]
    for ending in list(map(asyncio.create_task, stops)):
        for each in await ending:
            report(each)
            reports.append(each)
    return reports


async def _stop(owner: Running, citizens: list[CitizenSettings], others: list[str]) -> list[LoopReport]:
    try:
        _refuse_managed(citizens)
        if others:
            fix = "name them, too, or no citizen at all"
            raise _LeftAlone(f"its loop (pid {owner.pid}) also runs {', '.join(others)}; {fix}")
        text, failed = await _end(owner, citizens)
    except _LeftAlone as reason:
        text, failed = f"left alone: {reason}", False
    except WrongOwner as error:
        text, failed = f"left alone: {str(error).removeprefix(f'{citizens[0].name}: ')}", True
    except PermissionError:
        text, failed = f"pid {owner.pid} belongs to another user", True
    return [LoopReport(f"{each.name}: {text}", failed) for each in citizens]


def _refuse_managed(citizens: list[CitizenSettings]) -> None:
    for each in citizens:
        if unit := managed_by(each.home):
            raise _LeftAlone(f"it is {unit.name}.service; end it with {unit.systemctl('stop')}")


async def _end(owner: Running, citizens: list[CitizenSettings]) -> tuple[str, bool]:
    """Ask, wait, signal, wait, kill; return what happened, and whether that counts as a failure."""
    patience = max(each.grace for each in citizens) + AFTER_GRACE
    stopping = await _ask_to_stop(owner, citizens[0]) or _signal_to_stop(owner, citizens[0])
    process = stopping.process
    if await _has_ended(process, patience):
        return "ended", False
    if not stopping.certain:
        return f"pid {process.pid} has not ended in {patience:.0f}s; end it", True
    _signal(process, signal.SIGTERM)
    if await _has_ended(process, AFTER_SIGTERM):
        return f"ended after a second request, sent after {patience:.0f}s", False
    _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    if await _has_ended(process, AFTER_SIGKILL):
        return f"killed: it had not ended in {patience + AFTER_SIGTERM:.0f}s", True
    return f"pid {process.pid} did not exit after SIGKILL", True


async def _ask_to_stop(owner: Running, citizen: CitizenSettings) -> _Stopping | None:
    """Ask the owner through its socket; return None if nothing answers. Raises _LeftAlone, WrongOwner."""
    try:
        connection = await Connection.open(client_socket(citizen.name, citizen.home))
    except WrongOwner:
        raise
    except (Disconnected, OSError):
        return None
    try:
        await connection.ask("stop")
    except SchedulerError as refusal:
        # An older version does not know the request; a hanging process does not answer.
        if isinstance(refusal, Disconnected) or refusal.code == SchedulerError.code:
            return None
        raise _LeftAlone(str(refusal)) from None
    finally:
        connection.close()
    peer = connection.peer
    if peer is None:
        return _Stopping(owner, is_loop(owner, citizen))
    # The note in the home may name any pid; the kernel knows which process listens on the socket.
    process = owner if peer.pid == owner.pid else Running(peer.pid, born(peer.pid) or 0.0, owner.since)
    return _Stopping(process, user_of(peer.pid) == peer.uid)


def _signal_to_stop(owner: Running, citizen: CitizenSettings) -> _Stopping:
    if not is_loop(owner, citizen):
        raise _LeftAlone(f"pid {owner.pid} does not answer and is not a loop of --all or NAME")
    _signal(owner, signal.SIGTERM)
    return _Stopping(owner, True)


async def _has_ended(process: Running, seconds: float) -> bool:
    for _ in range(round(seconds / POLL_EVERY)):
        if not alive(process):
            return True
        await asyncio.sleep(POLL_EVERY)
    return not alive(process)


def _signal(process: Running, number: int) -> None:
    if alive(process):
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
