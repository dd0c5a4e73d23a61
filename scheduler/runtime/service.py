"""Installs, shows and removes the unit that runs a citizen's loop as a service."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from scheduler.config.loader import Settings, load, load_or_raise
from scheduler.errors import SchedulerError, UnknownCitizen
from scheduler.runtime.systemd_unit import OURS, text
from scheduler.storage.managed import Unit, managed_by, mark, unit_of, unmark

SYSTEM_UNITS = Path("/etc/systemd/system")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a citizen's unit is, and what is in it."""

    unit: Unit
    file: Path
    home: Path
    text: str = ""

    @property
    def wanted_by(self) -> Path:
        """The link that `systemctl enable` makes."""
        target = "default.target" if self.unit.user else "multi-user.target"
        return self.file.parent / f"{target}.wants" / self.file.name


def place(
    citizen: str,
    *,
    user: bool = False,
    into: Path | None = None,
    config: Path | None = None,
    writable: Iterable[Path] = (),
) -> Place:
    """The unit for this citizen as its settings want it; raises SchedulerError."""
    where, settings = _found(citizen, user, into, load_or_raise(config=config, only=(citizen,)))
    if not where.home.is_dir():
        raise SchedulerError(f"{where.home}: does not exist; mkdir {where.home} as the user who shall run it")
    chosen = settings.citizen(citizen)
    assert chosen is not None
    return replace(where, text=text(chosen, settings, where.unit, config, writable))


def place_of(
    citizen: str, *, user: bool = False, into: Path | None = None, config: Path | None = None
) -> Place:
    """Where this citizen's unit is, whatever is wrong with its settings; raises UnknownCitizen."""
    return _found(citizen, user, into, load(config=config, only=(citizen,)))[0]


def _found(citizen: str, user: bool, into: Path | None, settings: Settings) -> tuple[Place, Settings]:
    found = settings.citizen(citizen)
    if found is None:
        raise UnknownCitizen(citizen, settings.known)
    unit = unit_of(citizen, user)
    return Place(unit, (into or units(user)) / f"{unit.name}.service", found.home), settings


def units(user: bool) -> Path:
    """The folder of the units that an administrator, or this user, wrote."""
    if not user:
        return SYSTEM_UNITS
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def install(where: Place) -> None:
    """Write the unit and mark the home; raises SchedulerError."""
    _refuse_strange(where)
    try:
        where.file.parent.mkdir(parents=True, exist_ok=True)
        _write(where.file, where.text)
        mark(where.home, where.unit)
    except OSError as error:
        raise _not_done(error, where) from error


def remove(where: Place) -> list[str]:
    """Take the unit and the mark away; what was removed."""
    _refuse_strange(where)
    removed = []
    try:
        for file in (where.wanted_by, where.file):
            if file.is_symlink() or file.exists():
                file.unlink()
                removed.append(str(file))
        if unmark(where.home):
            removed.append(f"the mark in {where.home}")
    except OSError as error:
        raise _not_done(error, where) from error
    return removed


def shown(where: Place) -> str:
    """The unit as it is installed; raises SchedulerError if it is not."""
    try:
        content = where.file.read_text(encoding="utf-8", errors="replace")
        unit = managed_by(where.home)
    except FileNotFoundError as error:
        how = f"experience-tui service install {where.home.name}{' --user' if where.unit.user else ''}"
        raise SchedulerError(f"{where.file}: does not exist; write it with {how}") from error
    except OSError as error:
        raise _not_done(error, where) from error
    mark = f"managed by {unit.name}" if unit else "not managed: a monitor may own it; install it again"
    return f"# {where.file}\n{content}# {where.home}: {mark}"


def _refuse_strange(where: Place) -> None:
    """A unit that somebody else wrote is theirs."""
    try:
        strange = not where.file.read_text(encoding="utf-8", errors="replace").startswith(OURS)
    except OSError:
        return
    if strange:
        raise SchedulerError(f"{where.file}: somebody else wrote it; move it away first")


def _not_done(error: OSError, where: Place) -> SchedulerError:
    mend = "run it with sudo, or pass --user" if isinstance(error, PermissionError) else "mend that first"
    return SchedulerError(f"{error.filename or where.file}: {error.strerror or error}; {mend}")


def _write(file: Path, content: str) -> None:
    """Whole or not at all, and readable by all: the manager complains of units that are not."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(content, encoding="utf-8")
    partial.chmod(0o644)
    partial.replace(file)
