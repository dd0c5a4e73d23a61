"""The world around one citizen's scheduler: true time and the clock, processes, the disk, who asks for what.

The scheduler, its dispatcher, runner, wake and store are the real ones. A world plays one history and keeps
a trace of what really happened; it judges nothing.
"""

import heapq
import os
import random
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from scheduler.core.schedules.freeze import Freeze
from scheduler.core.task import Task
from scheduler.engine.freezing import MemoryFreezes
from scheduler.errors import SchedulerError
from scheduler.process import process_info
from scheduler.storage.state_codec import decode
from scheduler.storage.state_file import FILE_NAME, States
from scheduler.system import clock as system_clock
from tests.simulation.fakes.disk import Disk
from tests.simulation.fakes.event_log import event_log
from tests.simulation.fakes.loop import NEVER
from tests.simulation.fakes.owner import Owner
from tests.simulation.fakes.processes import Past, Process
from tests.simulation.fakes.settings_file import SettingsFile
from tests.simulation.history import HOUR, History, Plan, Step
from tests.simulation.rules.oracle import next_slot
from tests.simulation.trace import Fact

TURN = 2e-5  # seconds that one turn of the loop takes
WATCHED = 2.0  # seconds until a changed file is seen
QUIET = 3 * HOUR  # at the end, for everything that is owed
MEMORY = Path("/dev/shm")  # a file system in memory, where there is one


class Killed(KeyboardInterrupt):
    """The process is dead: nothing of it goes on, no handler either (asyncio lets this one through)."""


class World:
    """Plays a history; `trace` is what happened."""

    def __init__(self, history: History) -> None:
        self.history, self.trace = history, list[Fact]()
        self.elapsed = 1000.0
        self._offset = history.start - self.elapsed
        self.plans = {plan.name: plan for plan in (*history.tasks, *filter(None, [history.wake]))}
        self.past = Past()
        self.freezes = MemoryFreezes()  # a file: it outlives owners, and other processes write it
        self.processes: dict[int, Process] = {}
        self.owner: Owner | None = None
        self.on_clock_set: Callable[[], None] = lambda: None
        self.disk = Disk(self._before_write)
        self.slow_disk = False
        self._pids, self._runs = count(1000), dict[str, int]()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._arrived = False
        self._turns_left = self._writes_left = -1
        self._down = 0.0
        self._dice = random.Random(history.seed)

    @property
    def wall(self) -> float:
        return self.elapsed + self._offset

    def note(self, kind: str, task: str = "", more: Any = None) -> None:
        self.trace.append(Fact(self.elapsed, self.wall, kind, task, more))

    def _note_event(self, kind: str, task: str, more: Any) -> None:
        if self.owner:  # what is closed with a dead one says nothing
            self.note(kind, task, more)

    def chance(self, *what: object) -> float:
        """A number from 0 to 1 that depends on these words alone: other steps do not change it."""
        return zlib.crc32(repr((self.history.seed, *what)).encode()) / 2**32

    # ------------------------------------------------------------------ the history

    def play(self) -> list[Fact]:
        """Everything that happened."""
        folder = tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None)
        self.home = Path(folder) / "opus"
        self.home.mkdir()
        self.settings = SettingsFile(self)
        try:
            with _stands_in(self), self.disk, event_log(self._note_event):
                self._play()
        finally:
            shutil.rmtree(folder)
        return self.trace

    def _play(self) -> None:
        for plan in self.plans.values():
            self.note("planned", plan.name, plan)
        self.start()
        for step in self.history.steps:
            getattr(self, "_" + step.kind.replace(" ", "_"))(step)
        self._settle()

    def _settle(self) -> None:
        self._thaw(Step("thaw"))
        self.disk.full = self.slow_disk = False
        self._turns_left = self._writes_left = -1
        if self.owner is None:
            self.pass_time(max(self._down - self.elapsed, 0.0) + 1)
        self.pass_time(QUIET)
        self._look()
        if self.owner:
            self._stop(Step("stop", NEVER))
        self.note("end")

    # ------------------------------------------------------------------ time

    def call_at(self, at: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at, next(self._order), callback))

    def wait(self, seconds: float | None) -> None:
        """The loop of the owner waits: its turn may be its last."""
        if self._turns_left >= 0:
            self._turns_left -= 1
            if self._turns_left < 0:
                self.kill()
        until = self.elapsed + TURN if seconds == 0 else NEVER if seconds is None else self.elapsed + seconds
        self._go_on(min(until, self._agenda[0][0] if self._agenda else until))

    def _go_on(self, until: float) -> None:
        """True time goes on, and what the world has planned until then happens."""
        while self._agenda and self._agenda[0][0] <= until:
            at, _, callback = heapq.heappop(self._agenda)
            self.elapsed = max(self.elapsed, at)
            callback()
        self.elapsed = max(self.elapsed, until)

    def pass_time(self, seconds: float) -> None:
        self._arrived = False
        self.call_at(self.elapsed + seconds, self._arrive)
        while not self._arrived:
            if self.owner:
                with suppress(Killed):
                    self.owner.loop.run_forever()
            else:
                self._go_on(self._agenda[0][0])

    def _arrive(self) -> None:
        self._arrived = True
        if self.owner:
            self.owner.loop.stop()

    def _pass(self, step: Step) -> None:
        self.pass_time(step.by)

    def _near(self, step: Step) -> None:
        """Until so many seconds after (before) the task is due."""
        plan = self.plans.get(step.task)
        if plan is None:
            return
        last = self.past.last_began.get(plan.name, self.wall - plan.every)
        due = (
            next_slot(plan.cron, plan.zone, self.wall + 3)
            if plan.cron
            else max(last + plan.every, self.wall + 3)
        )
        self.pass_time(max(0.0, min(due - self.wall, 40 * HOUR) + step.by))

    def _clock(self, step: Step) -> None:
        self.note("clock", more=step.by)
        self._offset += step.by
        self.note("clock set", more=step.by)
        self.on_clock_set()

    def _sleep(self, step: Step) -> None:
        """The machine is suspended: only its clock goes on."""
        self.note("slept", more=step.by)
        self._offset += step.by
        self.note("awake", more=step.by)
        self.on_clock_set()

    def _stall(self, step: Step) -> None:
        """The process is stopped, or something blocks it; the others go on."""
        self.note("stalled", more=step.by)
        self._go_on(self.elapsed + step.by)
        self.note("goes on", more=step.by)

    # ------------------------------------------------------------------ the disk

    def disk_takes(self) -> float:
        return self._dice.uniform(0.5, 3.0) if self.slow_disk else self._dice.uniform(0.0001, 0.004)

    def _before_write(self) -> None:
        if self._writes_left >= 0:
            self._writes_left -= 1
            if self._writes_left < 0:
                self.kill()
        if self.owner is None:
            raise Killed

    def _disk_full(self, step: Step) -> None:
        self.note("disk full")
        self.disk.full = True
        self.pass_time(step.by)
        self.disk.full = False
        self.note("disk free")

    def _slow_disk(self, step: Step) -> None:
        self.slow_disk = not self.slow_disk
        self.note("slow disk" if self.slow_disk else "fast disk")

    # ------------------------------------------------------------------ the process that owns the citizen

    def start(self) -> None:
        assert self.owner is None, "a citizen has one owner"
        self.settings.settle()
        self.owner = Owner(self, next(self._pids))
        self.note("started")
        self.owner.loop.create_task(self.owner.start())

    def _start_later(self, seconds: float) -> None:
        self._down = self.elapsed + seconds
        if seconds < NEVER:
            self.call_at(self._down, self.start)

    def kill(self, down: float | None = None) -> None:
        """kill -9, in the middle of whatever it does."""
        owner, self.owner = self.owner, None
        if owner:
            self._turns_left = self._writes_left = -1
            self.note("killed", more=self._saved())
            for process in list(self.processes.values()):
                process.owner_died()
            self._start_later(self._kill_down if down is None else down)
            owner.bury()
            owner.loop.stop()  # the runner keeps what a run raises, a kill in its midst too
            raise Killed

    def _saved(self) -> States:
        """What the next owner will find."""
        file = self.home / FILE_NAME
        return decode(file.read_text())[0].states if file.exists() else {}

    def _kill_at_turn(self, step: Step) -> None:
        self._turns_left, self._kill_down = step.more, step.by

    def _kill_at_write(self, step: Step) -> None:
        self._writes_left, self._kill_down = step.more, step.by

    def _stop(self, step: Step) -> None:
        """A clean end with the usual grace; started again later."""
        if self.owner is None:
            return
        self.note("stopping")
        owner = self.owner
        ending = owner.loop.create_task(owner.scheduler.stop())
        ending.add_done_callback(lambda _: owner.loop.stop())
        with suppress(Killed):
            owner.loop.run_forever()
        if self.owner is owner:
            self.owner = None  # first: a write at its burial must not kill it once more
            owner.bury(quietly=True)
            for process in list(self.processes.values()):  # a coroutine may have ignored its end
                process.owner_died()
            self.note("stopped", more=self._saved())
            self._start_later(step.by)

    def _reboot(self, step: Step) -> None:
        """The power goes, and with it every process, and what was not synced."""
        if self.owner:
            self.disk.cut(lambda: self._dice.random() < 0.7)
            self.note("cut", more=self._saved())
        with suppress(Killed):
            self.kill(step.by + 1)
        for process in list(self.processes.values()):
            process.end("killed")

    # ------------------------------------------------------------------ what people do

    def _ask(self, kind: str, task: str, verb: Callable[["Owner"], Any]) -> None:
        owner = self.owner
        if owner is None or not owner.up:
            return
        self.note("asked", task, kind)
        asked = len(self.trace) - 1

        async def answer() -> None:
            try:
                receipt = await verb(owner)
            except SchedulerError as error:
                self.note("refused", task, (kind, str(error), asked))
            else:
                self.note("answered", task, (kind, receipt.saved, asked))

        owner.keep(answer())
        self.pass_time(0.0)

    def _force(self, step: Step) -> None:
        self._ask("force", step.task, lambda owner: owner.scheduler.force(step.task))

    def _force_again(self, step: Step) -> None:
        self._ask("force again", step.task, lambda owner: owner.scheduler.force(step.task, again=True))

    def _reset(self, step: Step) -> None:
        self._ask("reset", step.task, lambda owner: owner.scheduler.reset(step.task))

    def _pause(self, step: Step) -> None:
        self._ask("pause", step.task, lambda owner: owner.scheduler.pause(step.task))

    def _pause_for(self, step: Step) -> None:
        until = self.wall + step.by

        async def pause(owner: Owner) -> Any:
            self.note("pause until", step.task, until)  # not after the answer: another pause may come first
            return await owner.scheduler.pause(step.task, until=until)

        self._ask("pause for", step.task, pause)

    def _resume(self, step: Step) -> None:
        self._ask("resume", step.task, lambda owner: owner.scheduler.resume(step.task))

    def _freeze(self, step: Step) -> None:
        """By another process, whether or not an owner lives."""
        self.freezes.freeze(Freeze(self.wall, None, "ct"))
        self.note("frozen")

    def _freeze_soon(self, step: Step) -> None:
        """While the owner stands still, perhaps."""
        self.call_at(self.elapsed + step.by, lambda: self._freeze(step))

    def _thaw(self, step: Step) -> None:
        if self.freezes.note.last:
            self.freezes.thaw(self.wall)
            self.note("thawed")
            self.call_at(self.elapsed + WATCHED, self._tell_owner)

    def _tell_owner(self) -> None:
        """As who watches the files of a home does."""
        if self.owner and self.owner.up:
            self.owner.keep(self.owner.look_at_freeze())

    def _wake(self, step: Step) -> None:
        if self.history.wake:
            self._ask("wake", "wake", lambda owner: owner.scheduler.wake())

    def _edit(self, step: Step) -> None:
        self.settings.save(replace(self.plans[step.task], **step.more))
        if self.owner and self.owner.up:
            self.pass_time(0.0)

    def _write(self, step: Step) -> None:
        """The same in two steps; who watches the file takes it up."""
        change, share = step.more
        self.settings.write_in_steps(replace(self.plans[step.task], **change), share, step.by)
        self.pass_time(step.by + 2 * WATCHED)

    def take_up(self, plan: Plan) -> None:
        """The settings that count hold this plan from now on."""
        self.plans[plan.name] = plan
        self.note("edited", plan.name, plan)
        if self.owner and self.owner.up:
            self.owner.loop.call_soon(self.owner.scheduler.set_tasks, self.tasks())

    def _look(self, step: Step | None = None) -> None:
        if self.owner and self.owner.up:
            self.note("looked", more=self.owner.scheduler.snapshot())

    # ------------------------------------------------------------------ what the scheduler gets

    def tasks(self) -> list[Task]:
        return self.settings.tasks

    def born(self, pid: int) -> float | None:
        """When the process was started, if it lives."""
        lives = pid in self.processes or (self.owner is not None and pid == self.owner.pid)
        return float(pid) if lives else None

    def process(self, pid: int) -> SimpleNamespace | None:
        """The same as the kernel of Linux shows it."""
        born = self.born(pid)
        return SimpleNamespace(state="S", born=born) if born else None

    def new_process(self, name: str) -> Process:
        number = self._runs[name] = self._runs.get(name, 0) + 1
        return Process(self, next(self._pids), self.plans[name], number)


@contextmanager
def _stands_in(world: World) -> Iterator[None]:
    """The process table, the own pid and the pace of the clock are the world's."""
    random.seed(world.history.seed)
    with (
        patch.object(process_info, "stat", world.process),
        patch.object(process_info, "_created", world.born),
        patch.object(os, "getpid", lambda: world.owner.pid if world.owner else 1),
        patch.object(system_clock, "LOOK", world.history.look),
        patch.object(system_clock, "time", system_clock.time),
    ):
        yield
