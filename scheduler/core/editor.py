"""How a screen changes the settings files, without knowing how they are written."""

from collections.abc import Mapping
from dataclasses import field
from datetime import tzinfo
from pathlib import Path
from typing import Protocol

from scheduler.core.values import value


class PlannedChange(Protocol):
    """A valid change of settings, not yet made, with what a person should know before."""

    @property
    def warnings(self) -> tuple[str, ...]: ...

    def apply(self) -> object:
        """Make the change; raises SchedulerError, or OSError if the file cannot be written."""


@value
class SettingsPlace:
    """A settings file and a line in it, counted from 1."""

    file: Path
    line: int = 1


@value
class Preview:
    """A preview of a task that is being typed: the lines to write, or what is wrong with each field."""

    lines: str = ""
    schedule: str = ""  # the schedule in words
    times: tuple[float, ...] = ()  # its next times
    wrong: Mapping[str, str] = field(default_factory=dict)


@value
class Excerpt:
    """Lines around a problem: `lines` begin at line `first`; the problem is `wrong` cells from `at` on."""

    line: int
    first: int
    lines: tuple[str, ...]
    at: int = 0
    wrong: int = 0


class Editor(Protocol):
    """Changes the settings files for a screen; each change is checked before it is written.

    Every method but `preview` reads files, and raises SchedulerError if it cannot do its work.
    """

    def why_not(self, citizen: str) -> str:
        """Why this citizen's settings (any citizen's, for "") cannot be changed here; empty if they can."""

    def zone(self, citizen: str) -> tzinfo | None:
        """The time zone of the citizen; None: the machine's."""

    def preview(self, fields: Mapping[str, str], now: float, zone: tzinfo | None) -> Preview:
        """Preview the task of these fields (name, when, command, timeout, retries) without reading files."""

    def plan(self, citizen: str, fields: Mapping[str, str]) -> PlannedChange:
        """Plan a new task of these fields, checked as the scheduler will read it."""

    def plan_lines(self, citizen: str, task: str, lines: str) -> PlannedChange:
        """Plan a task of these TOML lines, checked in the same way."""

    def place(self, citizen: str, task: str = "") -> SettingsPlace:
        """Where this task is set or would be; `task` "": the citizen's file; `citizen` "": the main file."""

    def problems(self, citizen: str) -> tuple[str, ...]:
        """All problems of the settings as the files are now."""

    def excerpt(self, citizen: str, file: Path, line: int, key: str, words: str) -> Excerpt | None:
        """The lines around a problem in this user's file, without secrets; None if it is not found."""

    def make(self, name: str) -> Path:
        """Make a new citizen; return its settings file."""

    def last_change(self, citizen: str) -> str:
        """What `undo` would take back: the last change of this citizen's settings."""

    def undo(self, citizen: str) -> str:
        """Take back the last change of this citizen's settings; return what it was."""
