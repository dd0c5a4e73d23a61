"""Decides which alerts and pings a finished run sends: one alert per streak of failures, a ping per run."""

import asyncio
import logging
import socket
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scheduler.alerts.targets import Targets
from scheduler.alerts.worker import BackgroundWorker
from scheduler.config.loader import CitizenSettings
from scheduler.core.state import TaskState
from scheduler.core.task import Alerts, Outcome, Task
from scheduler.core.views import Hold, HoldKind, Ping
from scheduler.errors import PROGRAM
from scheduler.system.files import read_json, require_home, write_json
from scheduler.system.watchdog import LIMIT, StallWatch

log = logging.getLogger("experience.alerts")

FILE = Path(".experience", "alerts.json")
OVER_BUDGET = "over budget"
TEXT_LIMIT = 2000  # characters of an error in an alert
PATIENCE = 5.0  # seconds that a shutdown waits for alerts and pings under way


class Alerter:
    """Receives the runs of one citizen, decides, and hands jobs to the worker; nothing here waits."""

    def __init__(
        self, citizen: str, home: Path, alerts: Alerts | None, worker: BackgroundWorker, targets: Targets
    ) -> None:
        self.alerts = alerts
        self._citizen, self._home = citizen, home
        self._worker, self._targets = worker, targets
        self._alerted: set[str] = set()  # tasks whose current streak was reported
        self._pings: dict[str, Ping] = {}  # the last of each task

    def load(self) -> None:
        """Read which streaks have been reported; blocks."""
        names = read_json(self._home / FILE, {}).get("alerted")
        self._alerted = (
            {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()
        )

    # -------------------------------------------------------------- Listener

    def began(self, tasks: Iterable[tuple[Task, TaskState]]) -> None:
        """Send alerts for runs that died with their owner; a shutdown's interruption is not a failure."""
        for task, state in tasks:
            shutdown = state.outcome is Outcome.INTERRUPTED and state.due_now
            if state.error and task.enabled and not state.paused and not shutdown:
                self._failed(task.name, state)

    def started(self, task: Task) -> None:
        if task.ping and "start" in task.ping_on:
            self._ping(task, "start")

    def held(self, task: Task, hold: Hold) -> None:
        """Report a budget that holds a task, once per day that it holds for, across restarts."""
        alert = f"{task.name} {hold.about}"
        if hold.kind is not HoldKind.BUDGET or alert in self._alerted:
            return
        self._alerted = {each for each in self._alerted if not each.startswith(f"{task.name} ")} | {alert}
        if self.alerts and OVER_BUDGET in self.alerts.on:
            self.send(OVER_BUDGET, task.name, f"{self._citizen}/{task.name}: {hold.why}")

    def finished(self, task: Task, before: TaskState, after: TaskState) -> None:
        if after.outcome is Outcome.STOPPED:  # neither a failure nor a recovery
            return
        bad = after.error is not None
        if task.ping and ("failed" if bad else "ok") in task.ping_on:
            self._ping(task, "fail" if bad else "")
        if after.failures_in_a_row == 1:  # a new streak
            self._alerted.discard(task.name)
        if bad and after.paused and not before.paused:
            self._alerted.add(task.name)
            self._alert("failed", task.name, after, paused(self._citizen, task.name, after))
        elif bad:
            self._failed(task.name, after)
        elif task.name in self._alerted:
            self._alerted.discard(task.name)
            self._alert("recovered", task.name, after, recovery(self._citizen, task.name, before))

    # -------------------------------------------------------------- alerts

    def _failed(self, task: str, state: TaskState) -> None:
        alerts = self.alerts
        if alerts and state.failures_in_a_row >= alerts.after and task not in self._alerted:
            self._alerted.add(task)
            self._alert("failed", task, state, failure(self._citizen, task, state))

    def _alert(self, kind: str, task: str, state: TaskState, text: str) -> None:
        if self.alerts and kind in self.alerts.on:
            error = state.error.text[:TEXT_LIMIT] if state.error else ""
            more = {"outcome": state.outcome, "failures_in_a_row": state.failures_in_a_row, "error": error}
            self.send(kind, task, text, more)
        else:
            self._worker.enqueue(self._citizen, self._save)

    def send(self, kind: str, task: str, text: str, more: Mapping[str, Any] | None = None) -> None:
        """Queue an alert for all targets; from any thread."""
        if self.alerts is None:
            return
        sent = message(kind, self._citizen, task, text, more)
        accepted = self._worker.enqueue(self._citizen, partial(self._deliver, self.alerts, sent))
        if not accepted and kind == "failed":
            self._alerted.discard(task)  # the next failure tries again

    async def _deliver(self, alerts: Alerts, message: Mapping[str, Any]) -> None:
        answers = await self._targets.alert(alerts, message, self._home)
        for target, why in answers.items():
            if why:
                about = {"citizen": self._citizen, "target": target, "error": why}
                log.warning(f"alert not delivered: {message['text']}", extra=about)
        if message["kind"] == "failed" and all(answers.values()):
            self._alerted.discard(message["task"])  # not delivered: the next failure tries again
        await self._save()

    async def _save(self) -> None:
        try:
            require_home(self._home)
            write_json(self._home / FILE, {"alerted": sorted(self._alerted)})
        except OSError as error:
            log.warning(
                "the list of reported streaks is not saved",
                extra={"citizen": self._citizen, "error": str(error)},
            )

    # -------------------------------------------------------------- pings

    def _ping(self, task: Task, what: str) -> None:
        self._worker.enqueue(
            f"{self._citizen}/{task.name}", partial(self._pinged, task.name, task.ping, what)
        )

    async def _pinged(self, task: str, url: str, what: str) -> None:
        before, why = self._pings.get(task), await self._targets.ping(below(url, what))
        self._pings[task] = Ping(time.time(), why)
        failed_before = before is not None and bool(before.error)
        about = {"citizen": self._citizen, "task": task}
        if why and not failed_before:
            log.warning("ping not delivered", extra={**about, "error": why})
        elif failed_before and not why:
            log.info("pings are delivered again", extra=about)

    def last_ping(self, task: str) -> Ping | None:
        return self._pings.get(task)


def message(
    kind: str, citizen: str, task: str, text: str, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The message that targets get."""
    about = {"kind": kind, "citizen": citizen, "task": task, "text": text}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {**about, "time": now, "host": socket.gethostname(), **(more or {})}


def below(url: str, what: str) -> str:
    """The URL of a kind of ping: `/fail` and `/start` come after the path, before a query."""
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{what}").geturl() if what else url


def failure(citizen: str, task: str, state: TaskState) -> str:
    """The text of an alert about failures."""
    times = f" {state.failures_in_a_row} times in a row" if state.failures_in_a_row > 1 else ""
    error = state.error.first_line if state.error else ""
    return f"{citizen}/{task} failed{times}" + (f": {error[:TEXT_LIMIT]}" if error else "")


def paused(citizen: str, task: str, state: TaskState) -> str:
    """The text of an alert about failures that paused the task."""
    how = f"it is paused; continue with: {PROGRAM} resume {citizen} {task}"
    return f"{failure(citizen, task, state)}; {how}"


def recovery(citizen: str, task: str, before: TaskState) -> str:
    """The text of an alert about a recovery."""
    count = before.failures_in_a_row
    after = f" after {count} failure{'s' if count > 1 else ''}" if count else ""
    return f"{citizen}/{task} runs again{after}"


class Alarms:
    """The alerters of all citizens of this process; `stop` it after the last run."""

    def __init__(self, stalled_after: float = LIMIT) -> None:
        self._targets = Targets()
        self._worker = BackgroundWorker(self._targets.close)
        self._alerters: dict[str, Alerter] = {}
        self._watch = StallWatch(self._stalled, self._turns, stalled_after)

    async def listener(self, citizen: CitizenSettings) -> Alerter:
        """The listener for the runs of this citizen; call it on the loop that runs them."""
        alerter = Alerter(citizen.name, citizen.home, citizen.alerts, self._worker, self._targets)
        await asyncio.to_thread(alerter.load)
        self._alerters[citizen.name] = alerter
        self.change(citizen)
        return alerter

    def change(self, citizen: CitizenSettings) -> None:
        """Use other settings from now on."""
        if alerter := self._alerters.get(citizen.name):
            alerter.alerts = citizen.alerts
        if citizen.alerts and "stalled" in citizen.alerts.on:
            self._watch.start()

    def forget(self, citizen: str) -> None:
        self._alerters.pop(citizen, None)

    def stop_now(self) -> None:
        self._worker.stop_now()

    async def stop(self) -> None:
        """Give alerts that are under way a moment to arrive."""
        self._watch.stop()
        await asyncio.to_thread(self._worker.finish, PATIENCE)

    def _stalled(self, culprit: str, seconds: float) -> None:
        who = culprit or "something outside any task"
        self._report("stalled", culprit, f"{who} has held up the scheduler for {seconds:.0f} s")

    def _turns(self, culprit: str, seconds: float) -> None:
        who = culprit or "something outside any task"
        self._report("recovered", culprit, f"the scheduler goes on: {who} had held it up for {seconds:.0f} s")

    def _report(self, kind: str, culprit: str, text: str) -> None:
        """Send an alert for the citizen of the culprit; without one for all citizens, once per target."""
        citizen, _, task = culprit.partition("/")
        chosen = self._alerters.get(citizen)
        receivers = (
            [chosen] if chosen else [*{each.alerts: each for each in [*self._alerters.values()]}.values()]
        )
        for alerter in receivers:
            if alerter.alerts and {"stalled", kind} <= alerter.alerts.on:
                alerter.send(kind, task if chosen else "", text)
