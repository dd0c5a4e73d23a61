"""Finds the task of a run in the worker's own settings: no command ever comes from the database."""

from collections.abc import Callable, Iterable

from scheduler.config.loader import CitizenSettings, Settings, fingerprint, taken_up
from scheduler.core.task import Task
from scheduler.core.task_digest import digest
from scheduler.errors import TaskFailed
from scheduler.system.clock import elapsed
from scheduler.system.foreign_home import is_ours

FRESH = 1.0  # seconds for which settings count as fresh; a run that does not match reads them again

Found = tuple[CitizenSettings, Task]


class Definitions:
    """The settings of this machine, read again when they change."""

    def __init__(self, settings: Settings, load: Callable[[], Settings], machine: str) -> None:
        self._settings, self._load, self._machine = settings, load, machine
        self._looked = -FRESH
        self._found: dict[tuple[str, str, str], Found] = {}  # all tasks of a citizen once one was found
        self._sound: set[str] = set()  # citizens whose homes existed at the last check

    @property
    def citizens(self) -> Iterable[CitizenSettings]:
        """The citizens that may have runs here: their homes exist and belong to this user."""
        return [each for each in self._settings.citizens if each.home.is_dir() and is_ours(each.home)]

    def at_once(self, citizen: str, task: str, known: str) -> Found | None:
        """The task as `find` returns it, if its citizen was read a moment ago; reads nothing."""
        fresh = elapsed() - self._looked < FRESH and citizen in self._sound
        return self._found.get((citizen, task, known)) if fresh else None

    def find(self, citizen: str, task: str, known: str) -> Found:
        """Return the task whose definition has this digest; raises TaskFailed with the fix. Blocks."""
        if elapsed() - self._looked >= FRESH:
            self._look()
        try:
            found = self._one(citizen, task, known)
        except TaskFailed:
            self._look()
            found = self._one(citizen, task, known)
        if (citizen, task, known) not in self._found:
            owner = found[0]
            for each in owner.tasks:
                self._found[citizen, each.name, digest(each, owner.home)] = (owner, each)
        self._sound.add(citizen)
        return found

    def _look(self) -> None:
        self._looked = elapsed()
        self._sound.clear()
        if fingerprint(self._settings) != self._settings.mark:
            self._found.clear()
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
