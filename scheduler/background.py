"""Compatible API for code written for v2: the table of tasks, schedulers by name, verbs as plain calls."""

import os
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.config.loader import CitizenSettings, Settings, load
from scheduler.control.home_snapshot import read_snapshot
from scheduler.core.task import Handler, Outcome
from scheduler.core.views import Receipt, Snapshot, TaskView
from scheduler.errors import BadSettings, Owned, UnknownTask, Unreadable
from scheduler.storage.lock import owner_of
from scheduler.system.clock import SystemClock
from scheduler.system.hanging_disks import SILENT, hanging
from scheduler.system.unix_socket import is_foreign

if TYPE_CHECKING:
    from scheduler.control.member import LocalControl

__all__ = [
    "BACKGROUND_TASKS",
    "background_force",
    "background_reset",
    "background_status",
    "background_stop",
    "citizens",
    "get_scheduler",
    "read_citizen",
    "register_handler",
    "run_background_tasks",
]

T = TypeVar("T")


class CitizenScheduler:
    """One citizen for a script: registers handlers, and offers the verbs as blocking calls."""

    def __init__(self, citizen: str, config: Path | None = None, own_as_root: bool = False) -> None:
        self.citizen, self.config, self._as_root = citizen, config, own_as_root
        self._handlers: dict[str, Handler] = {}

    def register_handler(self, task: str, handler: Handler) -> None:
        """Run `handler` for this task in this process; raises Owned where another process runs it."""
        settings = _usable(load(config=self.config, only=(self.citizen,)), self.citizen)
        if task not in (names := [each.name for each in settings.tasks]):
            raise UnknownTask(task, names)
        owner = owner_of(settings.home)
        if owner and owner.pid != os.getpid():
            fix = f"set handler of the task {task} in its settings instead"
            raise Owned(f"{self.citizen} is owned by pid {owner.pid}: {fix}")
        self._handlers[task] = handler

    def run_due(self) -> dict[str, Outcome]:
        """Run every task that is due and wait for all of them; gives the outcome of each."""

        async def drain(control: "LocalControl") -> dict[str, Outcome]:
            from scheduler.engine.scheduler import Scheduler

            if not isinstance(control, Scheduler):
                owner = control.snapshot().owner.removeprefix("attached, ")
                raise Owned(f"{self.citizen} is owned by {owner}, which runs what is due")
            before = set(map(id, control.results()))
            await control.run_due_once(float("inf"))
            new = (each for each in control.results() if id(each) not in before)
            return {result.task: result.outcome for result in new}

        return self._run(drain)

    def force(self, task: str) -> str:
        """Run the task now and wait for it; gives its outcome in a line."""
        from scheduler.control.session import outcome_of

        return outcome_of(self.run_now(task))

    def run_now(self, task: str) -> TaskView:
        """Run the task now and wait for it; gives the task after that run."""

        async def forced(control: "LocalControl") -> TaskView:
            from scheduler.control.session import force_and_wait

            return await force_and_wait(control, task)

        return self._run(forced)

    def reset(self, task: str) -> Receipt:
        """Forget the task's last run and last error: due at the next check."""
        return self._run(lambda control: control.reset(task))

    def stop(self, task: str) -> Receipt:
        """End the task's run, or take it out of the queue; raises NotRunning."""
        return self._run(lambda control: control.stop_run(task))

    def status(self) -> Snapshot:
        """The citizen from its files."""
        return read_citizen(self.citizen, self.config)

    def _run(self, action: Callable[["LocalControl"], Awaitable[T]]) -> T:
        from asyncio import run  # 30 ms; reading a citizen does without

        return run(self._with_control(action))

    async def _with_control(self, action: Callable[["LocalControl"], Awaitable[T]]) -> T:
        from scheduler.control.session import control_for

        at = control_for(self.citizen, self.config, as_root=self._as_root, handlers=self._handlers)
        async with at as control:
            return await action(control)


def get_scheduler(citizen: str, config: Path | None = None, own_as_root: bool = False) -> CitizenScheduler:
    """The scheduler of this citizen; always the same one, so that its handlers stay registered."""
    return _scheduler(citizen, config, own_as_root)


# The cache tells f(name) from f(name, None): always call it with all three arguments.
_scheduler = lru_cache(CitizenScheduler)


def register_handler(task: str, handler: Handler, citizen: str) -> None:
    """Run `handler` for this task of this citizen in this process."""
    get_scheduler(citizen).register_handler(task, handler)


def run_background_tasks(citizen: str) -> dict[str, Outcome]:
    """Run what is due for the citizen and wait for it; gives the outcome of each task."""
    return get_scheduler(citizen).run_due()


def background_force(task: str, citizen: str, config: Path | None = None, own_as_root: bool = False) -> str:
    """Run the task now and wait for it; gives its outcome in a line."""
    return get_scheduler(citizen, config, own_as_root).force(task)


def background_reset(task: str, citizen: str, config: Path | None = None, own_as_root: bool = False) -> str:
    """Forget the task's last run and last error; gives what was done, in a line."""
    return get_scheduler(citizen, config, own_as_root).reset(task).text


def background_stop(task: str, citizen: str, config: Path | None = None, own_as_root: bool = False) -> str:
    """End the task's run; gives what was done, in a line."""
    return get_scheduler(citizen, config, own_as_root).stop(task).text


def background_status(citizen: str, config: Path | None = None) -> str:
    """What every task did last and does next, in the lines of `--status`."""
    from scheduler.core.wording.text import lines

    return "\n".join(lines(read_citizen(citizen, config), SystemClock.now()))


def read_citizen(citizen: str, config: Path | None = None) -> Snapshot:
    """The citizen from its owner, else from its files; takes no lock and changes nothing."""
    return read_citizens((citizen,), config)[0]


def read_citizens(names: Sequence[str] = (), config: Path | None = None) -> list[Snapshot]:
    """These citizens (all, if none is named) from their owners, else from their files."""
    settings = load(config=config, only=names).valid()
    chosen = [settings.named(name) for name in names] if names else settings.citizens
    hung = hanging(str(each.home) for each in chosen)
    silent = {os.getpid()}  # in its own process a handler that asks would wait for itself
    return [
        _unread(each, f"{each.home}: {SILENT}") if str(each.home) in hung else _snapshot(each, silent)
        for each in chosen
    ]


def _snapshot(citizen: CitizenSettings, silent: set[int]) -> Snapshot:
    try:
        return _from_owner(citizen, silent) or read_snapshot(citizen, SystemClock.now())
    except Unreadable as error:  # one home must not keep all others from being seen
        return _unread(citizen, str(error))


def _unread(citizen: CitizenSettings, why: str) -> Snapshot:
    return Snapshot(citizen.name, home=str(citizen.home), problems=citizen.problems or (why,))


def _from_owner(citizen: CitizenSettings, silent: set[int]) -> Snapshot | None:
    """What its owner knows: its zone, its environment, its settings; None without one that answers."""
    owner, foreign = owner_of(citizen.home), is_foreign(citizen.home)
    if not foreign and (owner is None or owner.pid in silent):
        return None
    from scheduler.control.wire.owner_snapshot import owner_snapshot

    answer = owner_snapshot(citizen.name, citizen.home)
    if answer is None and owner:
        silent.add(owner.pid)  # a thousand citizens of one process that hangs are not waited for
    return answer


def citizens(config: Path | None = None) -> tuple[str, ...]:
    """The names of all citizens."""
    return tuple(each.name for each in load(config=config).citizens)


def _usable(settings: Settings, name: str) -> CitizenSettings:
    citizen = settings.named(name)
    if problems := citizen.problems or settings.problems:
        raise BadSettings(problems)
    return citizen
