"""What a crontab becomes, line by line: values."""

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
    """A crontab and where it is; a `path` of None is the user's own, which `crontab` keeps."""

    label: str
    content: bytes
    path: Path | None = None
    column: bool | None = None  # whether its lines name users; None: look
    ignored: str = ""  # why cron runs none of its lines


class LinePlan(NamedTuple):
    """One line and what it becomes; `work` of None is the built-in handler."""

    line: Line
    fate: Fate
    name: str = ""
    schedule: Schedule | None = None
    zone: str = ""  # where the crontab named one, or the citizen has another
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
    home: str  # the user's, where cron runs its commands
    now: float
    zone: tzinfo
    told_zone: str = ""  # its name, where the citizen's times are in another one
    builtin: frozenset[str] = frozenset()  # built-in tasks to be taken instead of v1's commands
    every: bool = False
    states: Mapping[str, TaskState] = field(default_factory=dict)  # of the citizen's tasks and its wake
    taken: Mapping[str, str] = field(default_factory=dict)  # tasks (and the wake) that are set already: where
    others: frozenset[str] = frozenset()  # other citizens
    cron: InstalledCron = InstalledCron()  # noqa: RUF009  # frozen
    processes: Callable[[], Processes] = dict  # of the user, now
    is_folder: Callable[[Path], bool] = Path.is_absolute
    is_user: Callable[[str], bool] = bool


class CannotMigrate(Exception):
    """Why a line cannot be moved as it is, and what could."""

    def __init__(self, reason: str, nearest: str = "") -> None:
        super().__init__(reason)
        self.nearest = nearest
