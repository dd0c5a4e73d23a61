"""Changes settings files for the screen."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from scheduler.config.files import main_candidates
from scheduler.config.loader import load
from scheduler.config.new_home import make_citizen
from scheduler.core.editor import Excerpt, Preview, SettingsPlace
from scheduler.core.secrets import Masks
from scheduler.core.task import WAKE
from scheduler.editing import document, typed
from scheduler.editing.excerpts import excerpt
from scheduler.editing.journal import content_of, last_change
from scheduler.editing.plans import PlannedEdit, SettingsFiles, add_task, settings_files, undo_last
from scheduler.errors import SchedulerError
from scheduler.system.foreign_home import is_ours


@dataclass(frozen=True)
class FileEditor:
    """Changes the settings files of this machine; `off` says why it changes none."""

    config: Path | None = None
    off: str = ""

    def why_not(self, citizen: str) -> str:
        if self.off or not citizen:
            return self.off
        home = settings_files(citizen, self.config).home
        return "" if is_ours(home) else f"the settings of {citizen} are another user's: {home}"

    def zone(self, citizen: str) -> tzinfo | None:
        return self._files(citizen).load().spending.budget.zone

    def preview(self, fields: Mapping[str, str], now: float, zone: tzinfo | None) -> Preview:
        return typed.preview(fields, now, zone)

    def plan(self, citizen: str, fields: Mapping[str, str]) -> PlannedEdit:
        wrong: dict[str, str] = {}
        keys, _ = typed.keys_of(fields, wrong)
        for name, words in wrong.items():
            raise SchedulerError(f"{name}: {words}")
        return add_task(self._files(citizen), fields["name"], keys)

    def plan_lines(self, citizen: str, task: str, lines: str) -> PlannedEdit:
        try:
            keys = tomllib.loads(lines)
        except ValueError as error:
            raise SchedulerError(str(error)) from error
        return add_task(self._files(citizen), task, keys)

    def place(self, citizen: str, task: str = "") -> SettingsPlace:
        if not citizen:
            candidates = main_candidates(self.config, os.environ)
            return SettingsPlace(next((each for each in candidates if each.exists()), candidates[0]))
        files = settings_files(citizen, self.config)
        found = _where(files, ("wake",) if task == WAKE else ("tasks", task)) if task else None
        return found or SettingsPlace(files.own, _last_line(files.own) if task else 1)

    def problems(self, citizen: str) -> tuple[str, ...]:
        found = load(config=self.config, only=(citizen,))
        own = found.citizen(citizen)
        return tuple(dict.fromkeys((*found.problems, *(own.problems if own else ()))))

    def excerpt(self, citizen: str, file: Path, line: int, key: str, words: str) -> Excerpt | None:
        found = load(config=self.config, only=(citizen,) if citizen else ())
        if file not in found.files or not is_ours(file):
            return None  # a snapshot may name any file
        own = found.citizen(citizen)
        text = content_of(file)
        return excerpt(text, line, key, words, Masks(own.hidden if own else frozenset())) if text else None

    def make(self, name: str) -> Path:
        if self.off:
            raise SchedulerError(self.off)
        file, made = make_citizen(name, self.config)
        if not made:
            raise SchedulerError(f"{name} is there already; its settings: {file}")
        return file

    def last_change(self, citizen: str) -> str:
        return last_change(self._files(citizen).home)

    def undo(self, citizen: str) -> str:
        return undo_last(self._files(citizen)).what

    def _files(self, citizen: str) -> SettingsFiles:
        if why := self.why_not(citizen):
            raise SchedulerError(why)
        return settings_files(citizen, self.config)


def _where(files: SettingsFiles, at: tuple[str, ...]) -> SettingsPlace | None:
    """The file and the line that set this table; None if no file does, or it is not valid TOML now."""
    for file, above in files.both():
        try:
            text = content_of(file)
            if text is not None and document.value_at(text, (*above, *at)) is not None:
                return SettingsPlace(file, document.line_of(text, (*above, *at)) or 1)
        except ValueError:
            continue
    return None


def _last_line(file: Path) -> int:
    return len((content_of(file) or "").splitlines()) or 1
