"""The loaded settings as frozen values, and the files they were read from. Imports no pydantic."""

from collections.abc import Collection, Hashable, Mapping
from dataclasses import field, replace
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from scheduler.config.files import scripts
from scheduler.core.costs import SpendingRules
from scheduler.core.task import Alerts, Group, Llm, Retention, Task, WakeTask
from scheduler.core.ui_options import Monitor
from scheduler.core.values import value
from scheduler.errors import BadSettings, SchedulerError, UnknownCitizen
from scheduler.system.files import FileStamp, stamp
from scheduler.system.hanging_disks import hanging
from scheduler.system.homes import homes
from scheduler.system.time_zones import zones_now

if TYPE_CHECKING:
    from scheduler.agents.refusals.refusal_rule import RefusalRule


@value
class EngineSettings:
    """The PostgreSQL that machines share; `failover` in seconds."""

    url: str = field(repr=False)
    machine: str
    failover: float = 30.0


@value
class CitizenSettings:
    """One citizen; while it has `problems`, nothing of it runs."""

    name: str
    home: Path
    tasks: tuple[Task, ...] = ()  # in priority order, then by name
    wake: WakeTask = WakeTask()
    workers: int = 4
    grace: float = 10.0
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    problems: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()  # lines on tasks that cannot run on this machine; the others do
    llm: Llm | None = None
    alerts: Alerts | None = None
    history: Retention = Retention()
    socket_group: Group | None = None  # its members may steer the citizen, too
    refusals: "tuple[RefusalRule, ...]" = ()  # besides the built-in ones
    spending: SpendingRules = SpendingRules()
    machines: tuple[str, ...] = ()  # where it may run, in order of preference; empty: where its home is
    hidden: frozenset[str] = field(default=frozenset(), repr=False)  # to mask everywhere: see core/secrets


@value
class SettingsFingerprint:
    """What the settings were read from, and its state at that time."""

    files: tuple[str, ...]
    root: Path
    looked_for: tuple[tuple[str, frozenset[str]], ...]  # each home, and its tasks that may have a script
    stamps: tuple[FileStamp | None, ...] = ()
    homes: tuple[str, ...] = ()
    scripts: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()  # homes on disks that did not answer
    zones: Mapping[str, tzinfo] = field(default_factory=dict)  # by name, as of loading; "" is the machine's


@value
class Settings:
    """All settings, loaded before anything runs.

    `problems` are those of the main file and the environment; each is also among the problems of the
    citizen it concerns. `known` names every citizen, including those that `only` left out. `mark` is the
    fingerprint of what was read: while `fingerprint(settings)` equals it, nothing has changed. `given` has
    the names that each file sets.
    """

    root: Path
    citizens: tuple[CitizenSettings, ...] = ()
    problems: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    known: tuple[str, ...] = ()
    monitor: Monitor = field(default=Monitor())
    engine: EngineSettings | None = None
    file: str = ""  # the main file, whether it exists or not
    mark: SettingsFingerprint | None = field(default=None, repr=False, compare=False)
    given: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

    def valid(self) -> "Settings":
        """These settings; raises BadSettings if the main file has any error."""
        if self.problems:
            raise BadSettings(self.problems)
        return self

    def citizen(self, name: str) -> CitizenSettings | None:
        return next((each for each in self.citizens if each.name == name), None)

    def named(self, name: str) -> CitizenSettings:
        """The citizen of this name; raises UnknownCitizen, BadSettings."""
        if citizen := self.citizen(name):
            return citizen
        raise self._unknown(name)

    def chosen(self, names: Collection[str]) -> tuple[CitizenSettings, ...]:
        """The citizens with these names, or all without names; raises UnknownCitizen, BadSettings."""
        for name in names:
            if name not in self.known:
                raise self._unknown(name)
        return tuple(each for each in self.citizens if not names or each.name in names)

    def _unknown(self, name: str) -> SchedulerError:
        """The error for an unknown name; problems of the root or the main file may be the reason."""
        return BadSettings(self.problems) if self.problems else UnknownCitizen(name, self.known)


def taken_up(before: Settings, after: Settings) -> Settings:
    """The settings that apply from now on: the previous ones if the main file has problems."""
    if after.problems:
        return replace(before, mark=after.mark, files=after.files)
    found = {file: names for file, names in after.given.items() if file not in _wrong_files(after)}
    given = {**before.given, **found}  # a file with errors keeps the names it set before
    return replace(after, given=given)


def _wrong_files(settings: Settings) -> set[str]:
    """The citizens' own files that have errors, and therefore change nothing."""
    return {str(each.home / "experience.toml") for each in settings.citizens if each.problems}


def takes_away(before: Settings, after: Settings) -> bool:
    """Whether a citizen, a script or a name that a file set before is missing now.

    It also looks like this while a file is truncated or missing for a moment, or a disk is not mounted. An
    invalid file removes nothing, since it changes nothing.
    """
    if after.problems:
        return False
    wrong = _wrong_files(after)
    given = {file: names for file, names in before.given.items() if file not in wrong}
    lost = any(names - after.given.get(file, names) for file, names in given.items())
    return lost or bool(set(before.known) - set(after.known) or _scripts(before) - _scripts(after))


def _scripts(settings: Settings) -> frozenset[str]:
    return settings.mark.scripts if settings.mark else frozenset()


def fingerprint(settings: Settings) -> Hashable:
    """The present state; differs from `settings.mark` once files, homes, found scripts or zones change."""
    if (mark := settings.mark) is None:
        return None
    silent = hanging(home for home, _ in mark.looked_for)
    if silent != mark.silent:
        return replace(mark, silent=silent)
    looks = ((home, tasks) for home, tasks in mark.looked_for if home not in silent)
    found = (file for home, tasks in looks for file in scripts(home, tasks).values())
    return replace(
        mark,
        stamps=tuple(map(stamp, mark.files)),
        homes=tuple(list_homes(mark.root)[0]),
        scripts=frozenset(found),
        zones=zones_now(mark.zones),
    )


def list_homes(root: Path) -> tuple[list[str], list[str]]:
    """The names of the homes in `root`, and what is wrong if it cannot be listed."""
    try:
        return homes(root), []
    except OSError as error:
        return [], [f"{root}: cannot be listed: {error.strerror}; correct root, or the folder's permissions"]
