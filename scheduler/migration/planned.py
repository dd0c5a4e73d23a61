"""The plan of a crontab, line by line, as values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from scheduler.core.schedules.schedule import Schedule
from scheduler.core.state import TaskState
from scheduler.core.task import Command
from scheduler.migration.crontab import Line
from scheduler.migration.installed_cron import InstalledCron
from scheduler.migration.reboot_lines import Processes

Moments = tuple[float, ...]


class Fate(StrEnum):
    """What a line becomes."""

    TASK = "task"
    WAKE = "wake"
    NEEDS_YOU = "needs you"
    SETTING = "setting"
    COMMENT = "comment"
    BLANK = "blank"


@dataclass(frozen=True, slots=True)
class Source:
    """A crontab and its place; a `path` of None means the user's own, which `crontab` keeps."""

    label: str
    content: bytes
    path: Path | None = None
    column: bool | None = None  # whether its lines name users; None: find out
    ignored: str = ""  # why cron runs none of it


class LinePlan(NamedTuple):
    """One line and what it becomes; a `work` of None means the built-in handler."""

    line: Line
    fate: Fate
    name: str = ""
    schedule: Schedule | None = None
    zone: str = ""  # if the crontab names one, or the citizen's differs
    work: Command | None = None
    before: Moments = ()
    after: Moments = ()
    notes: tuple[str, ...] = ()
    reason: str = ""
    nearest: str = ""

    @property
    def moves(self) -> bool:
        return self.fate in (Fate.TASK, Fate.WAKE)


@dataclass(frozen=True, slots=True)
class CrontabPlan:
    """A crontab and the plan for each of its lines, in their order."""

    source: Source
    column: bool
    lines: tuple[LinePlan, ...]

    def counts(self) -> dict[str, int]:
        fates = [planned.fate for planned in self.lines]
        return {str(fate): fates.count(fate) for fate in Fate}


@dataclass(frozen=True, slots=True)
class MigrationRequest:
    """Who gets the lines, and what is set already."""

    citizen: str
    user: str
    home: str  # the user's, where cron runs commands
    now: float
    zone: tzinfo
    told_zone: str = ""  # the zone's name, if the citizen's times are in another
    builtin: frozenset[str] = frozenset()  # built-in tasks to use instead of v1's commands
    every: bool = False
    states: Mapping[str, TaskState] = field(default_factory=dict)  # of the citizen's tasks and its wake
    taken: Mapping[str, str] = field(default_factory=dict)  # where tasks (and the wake) are already set
    others: frozenset[str] = frozenset()  # other citizens
    cron: InstalledCron = InstalledCron()  # noqa: RUF009  # frozen
    processes: Callable[[], Processes] = dict  # the user's, at this moment
    is_folder: Callable[[Path], bool] = Path.is_absolute
    is_user: Callable[[str], bool] = bool


class CannotMigrate(Exception):
    """Why a line cannot be moved as it is, and what could be moved instead."""

    def __init__(self, reason: str, nearest: str = "") -> None:
        super().__init__(reason)
        self.nearest = nearest
