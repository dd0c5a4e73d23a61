"""Finds in a worker's own settings what a run is to do: no command ever comes from the database."""

from collections.abc import Callable

from scheduler.config.loader import CitizenSettings, Settings, fingerprint, taken_up
from scheduler.core.definition import digest
from scheduler.core.task import Task
from scheduler.errors import TaskFailed
from scheduler.system.clock import elapsed
from scheduler.system.foreign_home import is_ours

FRESH = 1.0  # seconds for which settings are taken as read; a run that does not fit them reads them again

Found = tuple[CitizenSettings, Task]


class Definitions:
    """The settings of this machine, read again when they have changed."""

    def __init__(self, settings: Settings, load: Callable[[], Settings], machine: str) -> None:
        self._settings, self._load, self._machine = settings, load, machine
        self._looked = -FRESH
        self._found: dict[tuple[str, str, str], Found] = {}

    def at_once(self, citizen: str, task: str, known: str) -> Found | None:
        """The same, if it was found a moment ago; reads nothing."""
        fresh = elapsed() - self._looked < FRESH
        return self._found.get((citizen, task, known)) if fresh else None

    def find(self, citizen: str, task: str, known: str) -> Found:
        """The task whose definition has this digest; raises TaskFailed with the fix. Blocks."""
        if elapsed() - self._looked >= FRESH:
            self._look()
        try:
            found = self._one(citizen, task, known)
        except TaskFailed:
            self._look()
            found = self._one(citizen, task, known)
        self._found[citizen, task, known] = found
        return found

    def _look(self) -> None:
        self._looked = elapsed()
        self._found.clear()
        if fingerprint(self._settings) != self._settings.mark:
            self._settings = taken_up(self._settings, self._load())

    def _one(self, citizen: str, task: str, known: str) -> Found:
        here, name = self._machine, f"{citizen}/{task}"
        owner = self._settings.citizen(citizen)
        if owner is None:
            raise TaskFailed(f"{here} does not know {citizen}: add it to {self._settings.file} there")
        if owner.problems:
            raise TaskFailed(f"{here}: {owner.problems[0]}")
        found = next((each for each in owner.tasks if each.name == task), None)
        if found is None:
            raise TaskFailed(f"{here} does not know {name}: add it to its settings there")
        if digest(found, owner.home) != known:
            raise TaskFailed(f"{here} has another definition of {name}: make its settings there the same")
        if not owner.home.is_dir():
            raise TaskFailed(f"{here} has no folder {owner.home} for {name} to run in: make it there")
        if not is_ours(owner.home):
            raise TaskFailed(f"{here}: {owner.home} belongs to another user: start the worker as that user")
        return owner, found
