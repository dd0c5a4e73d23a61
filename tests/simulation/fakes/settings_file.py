"""The settings of the citizen: a file that people write, also in steps, read and watched by the real code."""

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from scheduler.config.loader import Settings, load
from scheduler.config.settings import taken_up
from scheduler.control.following.settings_watch import AGAIN, SettingsWatch
from scheduler.core.task import Call, Task
from tests.simulation.history import Plan


class SettingsFile:
    """`tasks` are those of the settings that count; `world` holds the plans that stand in them."""

    def __init__(self, world: Any) -> None:
        self._world, self._stamps = world, count(1)
        self._main, self._own = world.home.parent / "main.toml", world.home / "experience.toml"
        self._main.write_text(f'root = "{world.home.parent}"\n')
        self._being_written: Plan | None = None
        self._counts = self._written()
        if self._counts.citizens[0].problems:  # hours without a time of its schedule, and catch_up = false
            world.plans = {name: replace(plan, catch_up=True) for name, plan in world.plans.items()}
            self._counts = self._written()

    @property
    def tasks(self) -> list[Task]:
        """With coroutines for those that are no commands: no file names one."""
        found, plans = self._counts.citizens[0], self._world.plans
        assert not found.problems, found.problems
        return [task if plans[task.name].command else task.with_work(_CALL) for task in found.tasks]

    def save(self, plan: Plan) -> None:
        """With this plan in it: written whole, and taken up at once."""
        self._being_written, self._whole = plan, False
        self.settle()

    def write_in_steps(self, plan: Plan, share: float, seconds: float) -> None:
        """With this plan in it: a part of the file first, the rest after so many seconds."""
        self._being_written, self._whole = plan, False
        lines, world = list(self._lines()), self._world
        text = "".join(lines)
        part = text[: int(share * len(text))]
        if (
            seconds >= AGAIN
        ):  # part of a number counts if it stands there for so long, a missing line does not
            part = "".join(lines[: int(share * len(lines))])
        self._write(part)
        self._watch, self._seen = SettingsWatch(self._load, lambda: world.elapsed), self._counts
        world.call_at(world.elapsed + seconds, self._finish)
        world.call_at(world.elapsed + AGAIN, self._look)

    def settle(self) -> None:
        """Whoever starts now finds it whole."""
        if self._being_written:
            self._finish()
            self._decide(self._load())

    def _finish(self) -> None:
        if self._being_written and not self._whole:
            self._whole = True
            self._write("".join(self._lines()))

    def _look(self) -> None:
        if self._being_written is None:
            return
        if found := self._watch.look(self._seen):
            self._decide(found)
        self._world.call_at(self._world.elapsed + AGAIN, self._look)

    def _decide(self, found: Settings) -> None:
        """Take it up, unless it has problems: then all stays as it was, and a whole file is taken back."""
        plan, wrong = self._being_written, found.citizens[0].problems
        assert plan
        if wrong and not self._whole:
            self._seen = taken_up(self._seen, found)
            return
        self._being_written = None
        if wrong:
            self._counts = self._written()
            return
        self._counts = found
        if not self._whole:
            self._world.note("half settings", plan.name)
        self._world.take_up(plan)

    def _written(self) -> Settings:
        """The settings once the file is whole."""
        self._write("".join(self._lines()))
        return self._load()

    def _load(self) -> Settings:
        return load(config=self._main, environ={})

    def _write(self, text: str) -> None:
        with self._world.disk.used_by_others():
            self._own.write_text(text)
            os.utime(
                self._own, (next(self._stamps),) * 2
            )  # two writes are quicker here than a clock of files

    def _lines(self) -> Iterator[str]:
        yield "builtin = false\n"
        for plan in self._world.plans.values():
            if self._being_written and plan.name == self._being_written.name:
                plan = self._being_written
            if not plan.removed and plan.name != "wake":
                yield from _table(plan)


def _table(plan: Plan) -> Iterator[str]:
    yield f"[tasks.{plan.name}]\n"
    yield f'command = ["{plan.name}"]\n'
    yield f'cron = "{plan.cron}"\n' if plan.cron else f'every = "{plan.every}s"\n'
    if plan.active:
        yield f'active = "{plan.active}"\n'
    if plan.cron or plan.active:
        yield f'timezone = "{plan.zone}"\n'
    for name in ("timeout", "retry_delay", "jitter"):
        yield f'{name} = "{getattr(plan, name)}s"\n'
    for name in ("priority", "retries"):
        yield f"{name} = {getattr(plan, name)}\n"
    for name in ("catch_up", "enabled"):
        yield f"{name} = {'true' if getattr(plan, name) else 'false'}\n"


def _never_called(context: Any) -> None: ...


_CALL = Call(_never_called)
