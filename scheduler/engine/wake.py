"""The wake cycle: run what is due, give the citizen its turn, record it."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from scheduler.core.schedule import unix
from scheduler.core.task import Command, Outcome, Task, WakeConfig
from scheduler.core.values import value
from scheduler.core.views import WakeView
from scheduler.executors import Result
from scheduler.schema.json_codec import to_json
from scheduler.storage.failure_journal import append_event
from scheduler.storage.state_codec import running_from_json
from scheduler.system.clock import Clock, Timer
from scheduler.system.files import read_json, read_json_for_update, require_home, write_json
from scheduler.system.process_info import Running, alive

log = logging.getLogger("experience.wake")

WAKES_KEPT = 1000
QUEUE_SHOWN = 500
ORPHAN_LOOK = 2.0  # seconds
RUNNING = Path(".experience") / "wake.json"


@value
class TaskResult:
    """One run since the last wake, as a wake reads it."""

    task: str
    outcome: Outcome
    text: str
    time: float


class Turn(Protocol):
    """What the wake needs of the scheduler around it."""

    async def run_due_once(self, patience: float) -> list[str]:
        """Run what is due and wait for it; the tasks that are still running after `patience` seconds."""
        ...

    def drain_results(self) -> list[TaskResult]:
        """The runs since the last wake."""
        ...

    async def run_wake_command(self, task: Task, carried_by: Callable[[Running], Awaitable[None]]) -> Result:
        """The outcome of the wake command."""
        ...

    def wake_changed(self, kind: str, text: str, outcome: Outcome | None) -> None: ...


class WakeCycle:
    """One citizen's wakes: on time, by hand, and at once when something is urgent."""

    def __init__(
        self, citizen: str, home: Path, plan: WakeConfig, turn: Turn, clock: Clock, tasks_first: bool = True
    ) -> None:
        self._citizen, self._home, self._plan, self._turn, self._clock = citizen, home, plan, turn, clock
        self._tasks_first = tasks_first
        self._count = 0
        self._last: float | None = None
        self._last_urgent: float | None = None
        self._since_start = clock.now()
        self._stopped = False
        self._timer: Timer | None = None
        self._jump: Timer | None = None
        self._under_way: asyncio.Task[Outcome] | None = None
        self._since: float | None = None
        self._error = self._note = ""
        self._turn_began = self._again = False  # something urgent since the turn began wants another wake

    def load(self) -> None:
        """Take up the count and the last wake from metadata.json."""
        metadata = read_json(self._home / "metadata.json", {})
        count = metadata.get("wake_count", 0)
        self._count = count if isinstance(count, int) and not isinstance(count, bool) else 0
        self._last = unix(metadata.get("last_wake"))

    def start(self) -> None:
        """From now on wake the citizen on time."""
        self._jump = self._clock.on_jump(self._clock_jumped)
        self._clock_jumped()

    def replan(self, plan: WakeConfig) -> None:
        """Continue with other settings; a wake under way keeps its own."""
        self._plan = plan
        if self._timer:
            self._arm()

    def stop(self) -> None:
        """Start no wake from now on; one that still waits for tasks skips its turn."""
        self._stopped = True
        for timer in (self._timer, self._jump):
            if timer:
                timer.cancel()
        self._timer = None

    def now(self) -> asyncio.Task[Outcome]:
        """The wake that is under way, or a new one."""
        if self._under_way is None:
            self._since = self._clock.now()
            self._under_way = asyncio.get_running_loop().create_task(
                self._cycle(), name=f"{self._citizen}/wake"
            )
            self._under_way.add_done_callback(self._ended)
            self._turn.wake_changed("wake started", "", None)
        return self._under_way

    def urgent(self, text: str) -> None:
        """Wake at once, but not more often than the cooldown allows."""
        now = self._clock.now()
        if self._last_urgent is not None and 0 <= now - self._last_urgent < self._plan.urgent_cooldown:
            return
        self._last_urgent = now
        self._note = text
        self._again = self._turn_began
        self.now()

    async def ended(self) -> None:
        """Return when no wake is under way."""
        if self._under_way:
            await asyncio.wait({self._under_way})

    def view(self) -> WakeView:
        """The wake as a panel's title shows it."""
        return WakeView(
            count=self._count,
            due=self._due() if self._timer else None,
            last=self._last,
            running_since=self._since,
            configured=self._plan.work is not None,
            error=self._error,
            note=self._note,
        )

    def _clock_jumped(self) -> None:
        """A last wake in the future counts as now."""
        if self._last is not None:
            self._last = min(self._last, self._clock.now())
        self._arm()

    def _due(self) -> float:
        schedule = self._plan.schedule
        return schedule.first(self._since_start) if self._last is None else schedule.after(self._last)

    def _arm(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._clock.call_at(self._due(), self._on_timer)

    def _on_timer(self) -> None:
        now = self._clock.now()
        if now < self._due():  # the clock was set, or the plan changed
            self._arm()
        elif orphan := self._orphan():
            self._note = f"waits for pid {orphan.pid}, woken by an owner that died"
            self._timer = self._clock.call_at(now + ORPHAN_LOOK, self._on_timer)
        else:
            self.now()

    def _ended(self, under_way: asyncio.Task[Outcome]) -> None:
        self._under_way = self._since = None
        again, self._turn_began, self._again = self._again, False, False
        if not under_way.cancelled() and (error := under_way.exception()):
            log.error("wake broke", exc_info=error, extra={"citizen": self._citizen})
        if self._timer:
            self._arm()
        self._turn.wake_changed("wake ended", self._error, None)
        if again and not self._stopped:
            self.now()

    async def _cycle(self) -> Outcome:
        started = self._clock.now()
        number = self._count + 1
        late = await self._turn.run_due_once(self._plan.patience) if self._tasks_first else []
        if self._stopped:
            return Outcome.INTERRUPTED
        results = self._turn.drain_results()
        self._turn_began = True
        result = await self._give_turn(number, results, late)
        self._count, self._last = number, started
        self._error = result.text if result.outcome.bad else ""
        self._note = ""
        await asyncio.to_thread(self._record, number, started, result, results)
        self._turn.wake_changed("wake finished", result.text, result.outcome)
        return result.outcome

    async def _give_turn(self, number: int, results: list[TaskResult], late: list[str]) -> Result:
        if self._plan.work is None:
            return Result(Outcome.OK, "no wake command set")
        letter = await asyncio.to_thread(self._letter, number, results, late)
        work = self._plan.work
        if isinstance(work, Command):
            environment = {**work.environment, "EXPERIENCE_WAKE": str(number)}
            work = replace(work, input=letter, environment=environment)
        task = Task("wake", self._plan.schedule, work, timeout=self._plan.timeout, options=json.loads(letter))
        try:
            return await self._turn.run_wake_command(task, self._carried_by)
        finally:
            with contextlib.suppress(OSError):  # the file names a dead process: it does no harm
                (self._home / RUNNING).unlink(missing_ok=True)

    async def _carried_by(self, running: Running) -> None:
        """Remember the agent's process, so that the next owner does not wake a second one."""
        try:
            await asyncio.to_thread(write_json, self._home / RUNNING, to_json(running))
        except OSError as error:  # a full disk does not prevent the wake
            log.warning("wake not recorded", extra={"citizen": self._citizen, "error": str(error)})

    def _orphan(self) -> Running | None:
        """The agent that a dead owner woke, while it lives."""
        try:
            running = running_from_json(read_json(self._home / RUNNING, {}))
        except (KeyError, TypeError, ValueError):
            return None
        return running if alive(running) else None

    def _letter(self, number: int, results: list[TaskResult], late: list[str]) -> bytes:
        """What the wake command reads on its standard input."""
        letter = {
            "citizen": self._citizen,
            "wake": number,
            "results": [_result_json(result) for result in results],
            "still_running": late,
            "queue": _queue(self._home),
        }
        return json.dumps(letter).encode() + b"\n"

    def _record(self, number: int, at: float, result: Result, results: list[TaskResult]) -> None:
        moment = datetime.fromtimestamp(at, UTC).isoformat()
        entry = {"wake": number, "time": moment, "outcome": result.outcome, "text": result.text[:500]}
        steps: list[Callable[[], object]] = [
            lambda: _update(self._home / "metadata.json", {"last_wake": moment, "wake_count": number}),
            lambda: _log_wake(self._home / "wake_log.json", entry),
            lambda: append_event(self._home, {"type": "wake_complete", **entry, "tasks": len(results)}, at),
        ]
        for step in steps:
            try:
                step()
            except OSError as error:
                self._error = f"wake not recorded: {error.strerror or error}"
                log.warning("wake not recorded", extra={"citizen": self._citizen, "error": str(error)})


def _update(path: Path, values: Mapping[str, Any]) -> None:
    require_home(path.parent)
    write_json(path, {**read_json_for_update(path), **values})


def _log_wake(path: Path, entry: Mapping[str, Any]) -> None:
    require_home(path.parent)
    document = read_json_for_update(path)
    wakes = document.get("wakes")
    kept = (wakes if isinstance(wakes, list) else [])[-WAKES_KEPT + 1 :]
    write_json(path, {**document, "wakes": [*kept, entry]})


def _queue(home: Path) -> list[str]:
    try:
        return sorted(path.name for path in (home / "tasks" / "queue").glob("*.json"))[:QUEUE_SHOWN]
    except OSError:
        return []


def _result_json(result: TaskResult) -> dict[str, Any]:
    moment = datetime.fromtimestamp(result.time, UTC).isoformat()
    return {"task": result.task, "outcome": result.outcome, "text": result.text, "time": moment}
