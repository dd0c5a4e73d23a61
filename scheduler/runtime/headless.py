"""Runs schedulers without a screen: until a signal, or for one wake."""

import asyncio
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from scheduler.config.settings import Settings
from scheduler.control.fleet import Fleet
from scheduler.control.handover import succeed
from scheduler.control.home_snapshot import read_snapshot
from scheduler.core.ports import FleetOptions
from scheduler.core.task import Outcome
from scheduler.core.views import Snapshot
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import Owned, Unreadable
from scheduler.executors.stdout_capture import capture_prints
from scheduler.process import main_task
from scheduler.process.garbage_collection import GarbageCollector
from scheduler.process.sd_notify import Heartbeat, Notifier, from_environment
from scheduler.process.startup import prepare_process, wanted_signals
from scheduler.runtime.log_output import log_lines
from scheduler.runtime.opening_lines import opening
from scheduler.system.clock import SystemClock

log = logging.getLogger("experience")

SIGNALS_CHECKED = 1.0  # seconds between two checks, since a task's handler may replace signal handlers


def run_headless(options: FleetOptions, *, log_json: bool = False) -> int:
    """Run these citizens until a signal; return the exit code. Raises SchedulerError."""
    notifier = from_environment()
    options = replace(options, create=True, service=notifier.service)
    if notifier.managed:
        faulthandler.enable()  # if the service manager kills a hung process, it logs where it hung
    with log_lines(sys.stdout, as_json=log_json) as on_home, capture_prints():
        return main_task.run(_until_stopped(Fleet(options, on_home), notifier))


def run_once(options: FleetOptions, *, wake: bool = True, log_json: bool = False) -> int:
    """Run what is due, after that (with `wake`) one wake; return 1 if anything failed."""
    with log_lines(sys.stdout, as_json=log_json) as on_home, capture_prints():
        return main_task.run(_one_turn(Fleet(replace(options, create=True), on_home), wake))


async def _until_stopped(fleet: Fleet, notifier: Notifier) -> int:
    prepare_process()
    signals, heartbeat = Signals(fleet, notifier), Heartbeat(notifier, fleet.clock)
    succession: asyncio.Task[None] | None = None
    garbage = GarbageCollector()
    fleet.on_stop = signals.request_stop
    if not fleet.successor_of:
        fleet.on_settings = _log_opening
    try:
        await fleet.start()
        if fleet.successor_of:
            succession = asyncio.create_task(_succeed(fleet, signals.request_stop))
        else:
            _require_schedulers(fleet)
        garbage.start()
        notifier.ready(_status(fleet))
        heartbeat.start()
        await signals.stop.wait()
        log.info("shutting down")
    finally:
        notifier.stopping()
        if succession:
            succession.cancel()
        await fleet.stop()
        garbage.stop()
        heartbeat.stop()
        signals.restore()
    return 0


def _log_opening(settings: Settings) -> None:
    """Log what begins, before anything runs; a citizen that cannot be read or run reports that itself."""
    now, found = SystemClock.now(), list[Snapshot]()
    for each in settings.citizens:
        with suppress(Unreadable):
            found += [] if each.problems else [read_snapshot(each, now)]
    for line in opening(str(settings.root), found, now):
        log.info(line)


async def _succeed(fleet: Fleet, give_up: Callable[[], None]) -> None:
    """Take up the citizens that another process releases; give up if there are none."""
    await succeed(fleet, fleet.successor_of)
    if not fleet.schedulers():
        log.error("nothing was handed over to this process")
        give_up()


def _status(fleet: Fleet) -> str:
    """The status line of `systemctl status`."""
    return ", ".join(f"{one.citizen}: {len(one.background)} tasks" for one in _snapshots(fleet)[:20])


def _snapshots(fleet: Fleet) -> list[Snapshot]:
    return [scheduler.snapshot() for scheduler in fleet.schedulers()]


async def _one_turn(fleet: Fleet, wake: bool) -> int:
    prepare_process()
    signals = Signals(fleet)
    try:
        await fleet.start(dispatch=False)
        _require_schedulers(fleet)
        turn = asyncio.ensure_future(_turn(fleet.schedulers()[0], wake))
        stop = asyncio.ensure_future(signals.stop.wait())
        await asyncio.wait({turn, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if turn.done():
            return turn.result()
        turn.cancel()
        return 2
    finally:
        await fleet.stop()
        signals.restore()


async def _turn(scheduler: Scheduler, wake: bool) -> int:
    """Return the exit code: 1 if the wake failed or did not take place, or if a task of this turn failed."""
    before = {task.name: task.run_count for task in scheduler.snapshot().tasks}
    if wake:
        outcome = await scheduler.wake_and_wait()
    else:
        await scheduler.run_due_once(float("inf"))
        outcome = Outcome.OK
    ran = [task for task in scheduler.snapshot().tasks if task.run_count != before.get(task.name)]
    failed = any(task.error for task in ran)
    return 0 if outcome.done and not failed else 1


def _require_schedulers(fleet: Fleet) -> None:
    """Raise Owned if no citizen runs here or will, or if one given by name does not."""
    refusals = fleet.refusals()
    if fleet.stands_by():
        return
    if refusals and fleet.named:
        raise Owned("; ".join(line for refusal in refusals for line in refusal.splitlines()))
    if refusals and not fleet.schedulers():
        raise Owned("no citizen can run here; the log says why")  # each refusal is a line of it


class Signals:
    """SIGTERM, SIGINT or a closed terminal stops, the second time at once; SIGHUP reloads the settings."""

    def __init__(self, fleet: Fleet, notifier: Notifier | None = None) -> None:
        self.stop = asyncio.Event()
        self._notifier = notifier or Notifier()
        self._fleet, self._loop = fleet, asyncio.get_running_loop()
        self._numbers = wanted_signals("SIGTERM", "SIGINT", "SIGHUP")
        self._had_terminal = _has_terminal()
        self._check: asyncio.TimerHandle
        self._install()

    def _install(self) -> None:
        for number in self._numbers:
            self._loop.add_signal_handler(
                number, self._on_hangup if number.name == "SIGHUP" else self.request_stop
            )
        self._check = self._loop.call_later(SIGNALS_CHECKED, self._install)

    def restore(self) -> None:
        """Restore the signal handlers, or ignore the signals while the process is stopping."""
        self._check.cancel()
        signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
        for number in self._numbers:
            self._loop.remove_signal_handler(number)
            if self.stop.is_set():
                signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)

    def request_stop(self) -> None:
        """Stop; a second call kills everything that still runs."""
        if self.stop.is_set():
            self._fleet.stop_now()
        self.stop.set()

    def _on_hangup(self) -> None:
        if self._had_terminal and not _has_terminal():
            self.request_stop()
        else:
            self._notifier.reloading()
            self._fleet.reload(lambda: self._notifier.ready(_status(self._fleet)))


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
