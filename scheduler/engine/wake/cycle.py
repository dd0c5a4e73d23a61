"""The wake cycle: run what is due, give the citizen its turn, record it."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from scheduler.core.planning import next_start, taken_up
from scheduler.core.schedules.schedule import unix
from scheduler.core.state import CHANGED, TaskState
from scheduler.core.task import Command, Isolated, Outcome, Task, WakeConfig
from scheduler.core.views import WakeView
from scheduler.engine.wake.cost import WakeCost
from scheduler.engine.wake.results import TaskResult
from scheduler.errors import AlreadyRunning, SchedulerError, Unreadable
from scheduler.executors import Result
from scheduler.process.process_info import Running
from scheduler.storage.failure_journal import append_event
from scheduler.storage.wake_note import HandedOver, WakeNote, read_note, wake_state, write_note
from scheduler.system.clock import Clock, ClockSteps, Timer
from scheduler.system.files import (
    read_json,
    read_json_for_update,
    read_json_to_keep,
    require_home,
    write_json,
)

log = logging.getLogger("experience.wake")

WAKES_KEPT = 1000
QUEUE_SHOWN = 500
HELD_LOOK = 2.0  # seconds between two looks whether the wake before has ended
BUDGET_LOOK = 15.0  # seconds between two looks whether the budget was lifted
DIED = "interrupted: the scheduler died during this wake"


class Turn(Protocol):
    """What the wake needs of the scheduler around it."""

    async def run_due_once(self, patience: float) -> list[str]:
        """Run what is due and wait for it; the tasks that are still running after `patience` seconds."""
        ...

    def results(self) -> list[TaskResult]:
        """The runs since the last wake."""
        ...

    def forget_results(self, told: list[TaskResult]) -> None:
        """These are in the letter of a wake that has begun."""
        ...

    def wake_left(self) -> str:
        """What a wake of this process left behind and still runs."""
        ...

    async def run_wake_command(
        self, task: Task, carried_by: Callable[[Running], Awaitable[None]]
    ) -> tuple[Result, str]:
        """The outcome of the wake command, and what it printed."""
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
        self._state = TaskState(first_seen=clock.now())
        self._steps = ClockSteps(clock)
        self._last_urgent: float | None = None
        self._stopped = False
        self._timer: Timer | None = None
        self._jump: Timer | None = None
        self._under_way: asyncio.Task[Outcome] | None = None
        self._since: float | None = None
        self._error = self._note = ""
        self._kept = self._written = WakeNote()
        self._saving = asyncio.Lock()
        self._noting: set[asyncio.Task[None]] = set()
        self._wanted = False  # by hand, or by something urgent that is in no letter yet
        self._turn_open = False
        self._turn_noted = asyncio.Event()  # a crash does not lose the turn that is open
        self.cost = WakeCost(citizen, home, clock)
        self._amounts: dict[str, Any] = {}  # what the last wake cost

    def load(self) -> None:
        """Take up the count, the last wake and what the owner before left; blocks. Raises Unreadable."""
        try:
            metadata = read_json_to_keep(self._home / "metadata.json")
            note = read_note(self._home)
        except OSError as error:  # not empty: the wakes would begin at #1 again, and beside a living agent
            fix = "make it readable, nothing was changed"
            raise Unreadable(f"{error.filename}: {error.strerror}; {fix}") from error
        count = metadata.get("wake_count", 0)
        self._count = count if isinstance(count, int) and not isinstance(count, bool) else 0
        last, self._written = unix(metadata.get("last_wake")), note
        self._kept = note if note.told else replace(note, told=HandedOver("", last or 0.0))
        self._wanted = self._kept.wanted
        self._state = wake_state(note, last, self._clock.now())
        if self._kept.number > self._count:
            self._close_interrupted()
        self._correct_metadata()

    def told(self) -> HandedOver:
        """The last result that a wake was told."""
        return self._kept.told or HandedOver("", 0.0)

    def start(self) -> None:
        """From now on wake the citizen on time."""
        self._jump = self._clock.on_jump(self._take_up)
        self._take_up()

    def replan(self, plan: WakeConfig) -> None:
        """Continue with other settings; a wake under way keeps its own."""
        self._plan = plan
        if self._timer:
            self._take_up()

    def stop(self) -> None:
        """Start no wake from now on; one that still waits for tasks skips its turn."""
        self._stopped = True
        for timer in (self._timer, self._jump):
            if timer:
                timer.cancel()
        self._timer = None

    def now(self) -> asyncio.Task[Outcome]:
        """The wake that is under way, or a new one; skipped if the wake before it has not ended."""
        if self._under_way is None:
            self._since = self._clock.now()
            self._under_way = asyncio.get_running_loop().create_task(
                self._cycle(), name=f"{self._citizen}/wake"
            )
            self._under_way.add_done_callback(self._ended)
            self._turn.wake_changed("wake started", "", None)
        return self._under_way

    async def ask(self) -> str:
        """Wake the citizen now, or join the wake under way; why that would not survive a crash.

        Raises AlreadyRunning while an agent of another wake is alive.
        """
        if self._turn_open:
            await self._turn_noted.wait()
            return ""
        if self._under_way is None and (held := self._awake()):
            raise AlreadyRunning(f"{self._citizen} is already awake: {held}")
        if self._under_way is None and (limit := self.cost.over_budget()):
            lift = f"experience-tui budget {self._citizen} --add 2 --today"
            raise SchedulerError(f"{self._citizen} is {limit}; lift it with: {lift}")
        self._wanted = True
        self.now()
        return await self._save()

    def urgent(self, text: str) -> None:
        """Wake at once, but not more often than the cooldown allows."""
        now = self._clock.now()
        if self._last_urgent is not None and 0 <= now - self._last_urgent < self._plan.urgent_cooldown:
            return
        self._last_urgent = now
        self._note = text
        self._wanted = True
        self.now()

    async def ended(self) -> None:
        """Return when no wake is under way."""
        if left := {*self._noting, *([self._under_way] if self._under_way else [])}:
            await asyncio.wait(left)

    def view(self) -> WakeView:
        """The wake as a panel's title shows it."""
        return WakeView(
            count=self._count,
            due=self._due() if self._timer else None,
            last=self._state.last_run,
            running_since=self._since,
            configured=self._plan.work is not None,
            error=self._error,
            note=self._note,
        )

    def _take_up(self) -> None:
        """Continue after a start, or after the clock or the plan was set: by the rules for tasks."""
        self._correct_state()
        self._arm()
        if self._state != self._kept.state:
            self._kept = replace(self._kept, state=self._state)
            noting = asyncio.get_running_loop().create_task(self._note_state())
            self._noting.add(noting)
            noting.add_done_callback(self._noting.discard)

    def _correct_state(self) -> None:
        now, changed = self._clock.now(), self._steps.look() <= -CHANGED
        self._state = taken_up(self._citizen, self._task, self._state, now, clock_changed=changed)

    @property
    def _task(self) -> Task:
        """The wake, as far as it is a task like others."""
        plan = self._plan
        return Task("wake", plan.schedule, plan.work or Command(()), timeout=plan.timeout, active=plan.active)

    def _due(self) -> float:
        now = self._clock.now()
        return now if self._wanted else next_start(self._citizen, self._task, self._state, now, now)[0]

    def _begun(self, started: float) -> TaskState:
        """The state of a wake that started then, and serves the slot that had come."""
        when, slot = next_start(self._citizen, self._task, self._state, started, started)
        served = self._state.slot if slot is None or when > started else slot
        if served is not None and served < started:  # it stands for all that were missed
            served = self._task.schedule.latest(served, started)
        return self._state.changed(last_run=started, slot=served)

    def _arm(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._clock.call_at(self._due(), self._on_timer)

    def _on_timer(self) -> None:
        now = self._clock.now()
        if now < self._due():  # the clock was set, or the plan changed
            self._arm()
        elif held := self._awake():
            self._hold(held, HELD_LOOK)
        elif limit := self.cost.over_budget():
            self._hold(str(limit), BUDGET_LOOK)
        else:
            self.now()

    def _held(self) -> str:
        """Why no turn may begin now; empty if it may."""
        return self._awake() or str(self.cost.over_budget() or "")

    def _awake(self) -> str:
        """The turn of another wake that has not ended, maybe one of a dead owner."""
        agents = ", ".join(f"pid {agent.pid}" for agent in read_note(self._home).living())
        left = agents or self._turn.wake_left()
        return f"the wake before has not ended ({left})" if left else ""

    def _hold(self, why: str, look_after: float) -> None:
        """Show why the wake waits, and look again."""
        if self._timer:
            self._timer.cancel()
            self._timer = self._clock.call_at(self._clock.now() + look_after, self._on_timer)
        if self._note != why:
            self._note = why
            self._turn.wake_changed("wake waits", why, None)

    def _ended(self, under_way: asyncio.Task[Outcome]) -> None:
        self._under_way = self._since = None
        if not under_way.cancelled() and (error := under_way.exception()):
            log.error("wake broke", exc_info=error, extra={"citizen": self._citizen})
        if self._timer:
            self._arm()
        self._turn.wake_changed("wake ended", self._error, None)
        if self._wanted and not (self._stopped or self._held()):
            self.now()

    async def _cycle(self) -> Outcome:
        started, number, begun = self._clock.now(), self._count + 1, self._clock.elapsed()
        self._amounts = {}
        if self._wanted:
            await self._save()
        tasks_first = (
            self._tasks_first and not self._stopped
        )  # nothing starts any more, nothing ends the wait
        late = await self._turn.run_due_once(self._plan.patience) if tasks_first else []
        if self._stopped:
            return Outcome.INTERRUPTED
        if held := self._held():
            self._note = held
            self._turn.wake_changed("wake finished", held, Outcome.SKIPPED)
            return Outcome.SKIPPED
        results = self._turn.results()
        self._wanted, self._turn_open = False, True  # what is urgent from now on is not in the letter
        self._turn_noted.clear()
        opened = WakeNote(number, started, told=_last_of(results), state=self._begun(started))
        try:
            result = await self._give_turn(opened, results, late)
        finally:
            self._turn_open = False  # who asks from now on gets a wake of their own
            self._turn_noted.set()
        took = self._clock.elapsed() - begun
        self._count = number
        self._state = opened.state.changed(last_duration=took, outcome=result.outcome)
        self._correct_state()
        self._error = result.text if result.outcome.bad else ""
        self._note = ""
        async with self._saving:
            await asyncio.to_thread(self._record, number, started, result, len(results))
        await self._close()
        self._turn.wake_changed("wake finished", result.text, result.outcome)
        return result.outcome

    async def _give_turn(self, opened: WakeNote, results: list[TaskResult], late: list[str]) -> Result:
        async def carried_by(*agents: Running) -> None:
            await self._begin(opened, agents)
            self._turn.forget_results(results)

        work = self._plan.work
        if work is None:
            self._turn.forget_results(results)
            return Result(Outcome.OK, "no wake command set")
        letter = await asyncio.to_thread(self._letter, opened.number, results, late)
        try:
            await asyncio.to_thread(self.cost.enter, self._plan)
        except OSError as error:
            return Result(
                Outcome.FAILED, f"not started: its cost cannot be noted ({error.strerror or error})"
            )
        if isinstance(work, Command):
            wake = {"EXPERIENCE_WAKE": str(opened.number), **self.cost.environment()}
            work = replace(work, input=letter, environment={**work.environment, **wake})
        task = replace(self._task, work=work, options=json.loads(letter))
        if not isinstance(work, Command | Isolated):  # it has no process of its own
            await carried_by()
        result, printed = await self._turn.run_wake_command(task, carried_by)
        self._amounts = await asyncio.to_thread(self._settle, printed, result.outcome.bad)
        return result

    def _settle(self, printed: str, failed: bool) -> dict[str, Any]:
        """Note what the wake cost; blocks."""
        try:
            return self.cost.settle(self._plan, printed, failed)
        except OSError as error:  # it stays unknown, and counts as the dearest of the last ones
            log.warning("cost not noted", extra={"citizen": self._citizen, "error": str(error)})
            return {}

    # -------------------------------------------------------------- what the next owner must know

    async def _begin(self, opened: WakeNote, agents: tuple[Running, ...]) -> None:
        """The turn begins: the next owner neither wakes a second agent nor tells the results again."""
        told, before = opened.told or self._kept.told, self._kept.living()
        self._kept = replace(opened, agents=(*before, *agents), told=told)
        await self._save(durable=False)  # the agent waits for it, and does not survive a power cut
        self._turn_noted.set()

    async def _close(self) -> None:
        """The turn has ended and is recorded."""
        self._kept = replace(self._kept, number=0, agents=self._kept.living(), state=self._state)
        await self._save()

    async def _save(self, durable: bool = True) -> str:
        """Write the note; why that failed."""
        async with self._saving:
            note = replace(self._kept, wanted=self._wanted)
            if note == self._written:
                return ""
            try:
                await asyncio.to_thread(write_note, self._home, note, durable)
            except OSError as error:  # a full disk does not prevent the wake
                log.warning("wake not recorded", extra={"citizen": self._citizen, "error": str(error)})
                return error.strerror or str(error)
            self._written = note
            return ""

    async def _note_state(self) -> None:
        """What was corrected stays so over restarts, also for those who read metadata.json."""
        async with self._saving:
            await asyncio.to_thread(self._correct_metadata)
        await self._save()

    def _correct_metadata(self) -> None:
        """A last wake in the future counts as now, for peers, too; blocks."""
        now, path = self._clock.now(), self._home / "metadata.json"
        try:
            if (unix(read_json(path, {}).get("last_wake")) or 0.0) > now:
                _update(path, {"last_wake": datetime.fromtimestamp(now, UTC).isoformat()})
        except OSError as error:
            log.warning("wake not corrected", extra={"citizen": self._citizen, "error": str(error)})

    def _close_interrupted(self) -> None:
        """The owner before died during a turn: that wake has its number and its time; blocks."""
        self._count, since, self._error = self._kept.number, self._kept.since, DIED
        self._state = self._state.changed(last_run=since, outcome=Outcome.INTERRUPTED)
        self._record(self._count, since, Result(Outcome.INTERRUPTED, DIED), 0)
        self._kept = replace(self._kept, number=0)
        self._turn.wake_changed("wake finished", DIED, Outcome.INTERRUPTED)

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

    def _record(self, number: int, at: float, result: Result, results: int) -> None:
        moment = datetime.fromtimestamp(at, UTC).isoformat()
        entry = {"wake": number, "time": moment, "outcome": result.outcome, "text": result.text[:500]}
        entry |= self._amounts
        steps: list[Callable[[], object]] = [
            lambda: _update(self._home / "metadata.json", {"last_wake": moment, "wake_count": number}),
            lambda: _log_wake(self._home / "wake_log.json", entry),
            lambda: append_event(self._home, {"type": "wake_complete", **entry, "tasks": results}, at),
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


def _last_of(results: list[TaskResult]) -> HandedOver | None:
    return HandedOver(results[-1].task, results[-1].time) if results else None


def _result_json(result: TaskResult) -> dict[str, Any]:
    moment = datetime.fromtimestamp(result.time, UTC).isoformat()
    return {"task": result.task, "outcome": result.outcome, "text": result.text, "time": moment}
