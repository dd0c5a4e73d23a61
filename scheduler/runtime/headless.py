"""The schedulers without a screen: one log line per event, signals, a clean end."""

import asyncio
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from scheduler.control.fleet import Fleet
from scheduler.core.ports import FleetOptions
from scheduler.core.task import Outcome
from scheduler.engine.scheduler import Scheduler
from scheduler.errors import Owned
from scheduler.executors.stdout_capture import capture_prints
from scheduler.runtime.log_output import log_lines
from scheduler.system.sd_notify import Heartbeat, Notifier, from_environment
from scheduler.system.startup import freeze_memory, prepare_process

log = logging.getLogger("experience")

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
SIGNALS_CHECKED = 1.0  # seconds; a handler may have installed its own over ours


def run_headless(
    *,
    citizens: Sequence[str] = (),
    config: Path | None = None,
    interval: float | None = None,
    background: bool = True,
    wakes: bool = True,
    log_json: bool = False,
    own_as_root: bool = False,
) -> int:
    """Run citizens (all, if none is named) until a signal ends it; the exit code. Raises SchedulerError."""
    notifier = from_environment()
    options = FleetOptions(
        config=config,
        only=tuple(citizens),
        interval=interval,
        background=background,
        wakes=wakes,
        own_as_root=own_as_root,
        create=True,
        service=notifier.service,
    )
    if notifier.managed:
        faulthandler.enable()  # what the manager ends because it hangs says where it hung
    with log_lines(sys.stdout, as_json=log_json) as on_home, capture_prints():
        return asyncio.run(_until_told(Fleet(options, on_home), notifier))


def run_once(
    citizen: str,
    *,
    background: bool = True,
    wake: bool = True,
    config: Path | None = None,
    log_json: bool = False,
    own_as_root: bool = False,
) -> int:
    """One wake with its background tasks, or only the one or the other; 1 if anything failed."""
    options = FleetOptions(
        config=config, only=(citizen,), background=background, own_as_root=own_as_root, create=True
    )
    with log_lines(sys.stdout, as_json=log_json) as on_home, capture_prints():
        return asyncio.run(_one_turn(Fleet(options, on_home), wake))


async def _until_told(fleet: Fleet, notifier: Notifier) -> int:
    prepare_process()
    signals, heartbeat = Signals(fleet, notifier), Heartbeat(notifier, fleet.clock)
    fleet.on_stop = signals.end
    try:
        await fleet.start()
        _insist_on_something(fleet)
        freeze_memory()
        notifier.ready(_status(fleet))
        heartbeat.start()
        await signals.told.wait()
        log.info("shutting down")
    finally:
        notifier.stopping()
        await fleet.stop()
        heartbeat.stop()
        signals.give_back()
    return 0


def _status(fleet: Fleet) -> str:
    """What `systemctl status` says of us."""
    snapshots = [scheduler.snapshot() for scheduler in fleet.schedulers()]
    return ", ".join(f"{one.citizen}: {len(one.tasks)} tasks" for one in snapshots[:20])


async def _one_turn(fleet: Fleet, wake: bool) -> int:
    prepare_process()
    signals = Signals(fleet)
    try:
        await fleet.start(dispatch=False)
        _insist_on_something(fleet)
        turn = asyncio.ensure_future(_turn(fleet.schedulers()[0], wake))
        told = asyncio.ensure_future(signals.told.wait())
        await asyncio.wait({turn, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if turn.done():
            return turn.result()
        turn.cancel()
        return 2
    finally:
        await fleet.stop()
        signals.give_back()


async def _turn(scheduler: Scheduler, wake: bool) -> int:
    if wake:
        outcome = await scheduler.wake_and_wait()
    else:
        await scheduler.run_due_once(float("inf"))
        outcome = Outcome.OK
    failed = any(task.error for task in scheduler.snapshot().tasks)
    return 1 if failed or outcome.bad else 0


def _insist_on_something(fleet: Fleet) -> None:
    """A citizen that was asked for by name and cannot be run is an error, not a log line."""
    refusals = fleet.refusals()
    if refusals and (fleet.named or not fleet.schedulers()):
        raise Owned("; ".join(line for refusal in refusals for line in refusal.splitlines()))


class Signals:
    """SIGTERM, SIGINT, a closed terminal: end the fleet, a second one at once; SIGHUP: read the settings."""

    def __init__(self, fleet: Fleet, notifier: Notifier | None = None) -> None:
        self.told = asyncio.Event()
        self._notifier = notifier or Notifier()
        self._fleet, self._loop = fleet, asyncio.get_running_loop()
        self._had_terminal = _has_terminal()
        self._check: asyncio.TimerHandle
        self._keep()

    def _keep(self) -> None:
        for number in SIGNALS:
            self._loop.add_signal_handler(number, self._hang_up if number.name == "SIGHUP" else self.end)
        self._check = self._loop.call_later(SIGNALS_CHECKED, self._keep)

    def give_back(self) -> None:
        """As before, unless we were told to end: then nothing interrupts what is left to do."""
        self._check.cancel()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        for number in SIGNALS:
            self._loop.remove_signal_handler(number)
            if self.told.is_set():
                signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def end(self) -> None:
        """End everything; asked a second time, at once."""
        if self.told.is_set():
            self._fleet.stop_now()
        self.told.set()

    def _hang_up(self) -> None:
        if self._had_terminal and not _has_terminal():
            self.end()
        else:
            self._notifier.reloading()
            self._fleet.reload(lambda: self._notifier.ready(_status(self._fleet)))


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
