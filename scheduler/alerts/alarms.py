"""Alerts of a whole fleet: an Alerter per citizen, and one watch over the loop that runs them all."""

import asyncio

from scheduler.alerts.alerter import Alerter
from scheduler.alerts.targets import Targets
from scheduler.alerts.worker import BackgroundWorker
from scheduler.config.loader import CitizenSettings
from scheduler.engine.watchdog import LIMIT, StallWatch

PATIENCE = 5.0  # seconds that a shutdown waits for alerts and pings that are under way


class Alarms:
    """Made once per process; `stop` it when nothing runs any more."""

    def __init__(self, stalled_after: float = LIMIT) -> None:
        self._targets = Targets()
        self._worker = BackgroundWorker(self._targets.close)
        self._alerters: dict[str, Alerter] = {}
        self._watch = StallWatch(self._stalled, self._turns, stalled_after)

    async def listener(self, citizen: CitizenSettings) -> Alerter:
        """Whom the runs of this citizen are told to; call it on the loop that runs them."""
        alerter = Alerter(citizen.name, citizen.home, citizen.alerts, self._worker, self._targets)
        await asyncio.to_thread(alerter.load)
        self._alerters[citizen.name] = alerter
        self.change(citizen)
        return alerter

    def change(self, citizen: CitizenSettings) -> None:
        """Go on with other settings."""
        if alerter := self._alerters.get(citizen.name):
            alerter.alerts = citizen.alerts
        if citizen.alerts and "stalled" in citizen.alerts.on:
            self._watch.start()

    def forget(self, citizen: str) -> None:
        self._alerters.pop(citizen, None)

    def stop_now(self) -> None:
        self._worker.stop_now()

    async def stop(self) -> None:
        """Let what is on its way arrive, for a moment."""
        self._watch.stop()
        await asyncio.to_thread(self._worker.finish, PATIENCE)

    def _stalled(self, culprit: str, seconds: float) -> None:
        who = culprit or "something outside any task"
        self._tell("stalled", culprit, f"{who} has held up the scheduler for {seconds:.0f} s")

    def _turns(self, culprit: str, seconds: float) -> None:
        who = culprit or "something outside any task"
        self._tell("recovered", culprit, f"the scheduler goes on: {who} had held it up for {seconds:.0f} s")

    def _tell(self, kind: str, culprit: str, text: str) -> None:
        """The citizen whose run it is; all, each target once, where it is nobody's."""
        citizen, _, task = culprit.partition("/")
        chosen = self._alerters.get(citizen)
        told = [chosen] if chosen else [*{each.alerts: each for each in [*self._alerters.values()]}.values()]
        for alerter in told:
            if alerter.alerts and {"stalled", kind} <= alerter.alerts.on:
                alerter.send(kind, task if chosen else "", text)
