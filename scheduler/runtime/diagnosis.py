"""Where everything is, how large it is, and what is wrong with it, with the fix; only reads."""

import os
import platform
import shutil
import stat
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

from scheduler.config.loader import CitizenSettings, Settings, load
from scheduler.control.wire.owner_snapshot import owner_snapshot
from scheduler.core.wording.text import size
from scheduler.errors import NO_CITIZENS, PROGRAM, SchedulerError
from scheduler.storage.lock import abandoned, managed_by, owner_of, role_of
from scheduler.storage.state_file import FILE_NAME
from scheduler.system.files import allowed
from scheduler.system.foreign_home import is_ours, names_in, place
from scheduler.system.version import VERSION

LEAST_FREE = 500_000_000  # bytes; with less, saves may begin to fail
PATIENCE = 3.0  # seconds that an owner gets to answer, since its machine may be busy
LARGE_HISTORY = 2_000_000_000  # bytes of one runs.db
NAME = "experience-tui"
PACKAGES = ("scheduler", "tui")  # names that other distributions use, too


@dataclass(frozen=True, slots=True)
class CitizenFacts:
    """The place of a citizen, its owner, and the size of its files."""

    citizen: str
    home: str
    settings: str  # its own settings file; empty if it has none
    owner: int | None  # pid
    role: str  # of the owner, such as "monitor"
    since: float | None
    answers: bool  # whether the owner answered just now
    service: str
    tasks: int
    history_bytes: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that a helper would ask first; `wrong` is lines with a problem and its fix."""

    version: str
    program: str
    python: str
    system: str
    settings: str
    settings_exist: bool
    root: str
    free_bytes: int | None
    environment: tuple[str, ...]  # the names of this program's variables that are set
    engine: str  # the shared database in a line; empty if there is none or it does not answer
    citizens: tuple[CitizenFacts, ...]
    wrong: tuple[str, ...]


def diagnose(config: Path | None = None) -> Diagnosis:
    """Examine everything, even if the settings have errors."""
    settings = load(config=config)
    citizens = _all_facts(settings)
    free = _free(settings.root)
    engine, problems, elsewhere = _about_engine(settings)
    return Diagnosis(
        version=VERSION,
        program=str(Path(__file__).parents[2]),
        python=f"{platform.python_version()} ({sys.executable})",
        system=f"{platform.system()} {platform.release()}",
        settings=settings.file,
        settings_exist=_exists(settings.file),
        root=str(settings.root),
        free_bytes=free,
        environment=tuple(sorted(name for name in os.environ if name.startswith("EXPERIENCE_"))),
        engine=engine,
        citizens=citizens,
        wrong=tuple(dict.fromkeys((*_wrong(settings, citizens, elsewhere), *problems))),
    )


def unattended(config: Path | None = None) -> tuple[str, ...]:
    """A line with the fix for each citizen that no process runs or whose process does not answer."""
    settings = load(config=config).valid()
    pairs = zip(settings.citizens, _all_facts(settings), strict=True)
    elsewhere = _about_engine(settings)[2]
    found = (line for citizen, facts in pairs for line in _about_owner(settings, citizen, facts, elsewhere))
    return tuple(dict.fromkeys(found))


def _all_facts(settings: Settings) -> tuple[CitizenFacts, ...]:
    silent: set[int] = set()
    return tuple(_facts(citizen, silent) for citizen in settings.citizens)


def _facts(citizen: CitizenSettings, silent: set[int]) -> CitizenFacts:
    home, own = citizen.home, citizen.home / "experience.toml"
    owner, role, unit = None, "", None
    with suppress(OSError):  # closed by another user
        unit = managed_by(home)
        owner = owner_of(home)
        role = role_of(home) if owner else ""
    return CitizenFacts(
        citizen=citizen.name,
        home=str(home),
        settings=str(own) if _status(own) else "",
        owner=owner.pid if owner else None,
        role=role,
        since=owner.since if owner else None,
        answers=owner is not None and _answers(citizen, owner.pid, silent),
        service=unit.name if unit else "",
        tasks=len(citizen.tasks),
        history_bytes=sum(_size(home / f"runs.db{part}") for part in ("", "-wal", "-shm")),
        log_bytes=sum(_size(home / "logs" / name) for name in _names(home / "logs")),
    )


def _answers(citizen: CitizenSettings, pid: int, silent: set[int]) -> bool:
    """Whether the owner answers; a silent one is asked only once, however many citizens it runs."""
    if pid in silent or pid == os.getpid():
        return pid not in silent
    if owner_snapshot(citizen.name, citizen.home, PATIENCE) is None:
        silent.add(pid)
    return pid not in silent


# ------------------------------------------------------------------ what is wrong


def _wrong(settings: Settings, citizens: Iterable[CitizenFacts], elsewhere: Collection[str]) -> Iterator[str]:
    yield from settings.problems
    yield from settings.monitor.problems
    yield from _shadowed()
    yield from _about_disks(settings)
    if not settings.known and not settings.problems:
        yield NO_CITIZENS
    for citizen, facts in zip(settings.citizens, citizens, strict=True):
        yield from citizen.problems
        yield from citizen.refused
        yield from _about_home(settings, citizen, facts, elsewhere)


def _about_disks(settings: Settings) -> Iterator[str]:
    """Yield a line for each disk, of the root and the homes, that is full, nearly full or not writable."""
    seen: set[int] = set()
    for folder in (settings.root, *(citizen.home for citizen in settings.citizens)):
        with suppress(OSError):  # closed by another user
            device = _there(folder).stat().st_dev
            if device in seen:
                continue
            seen.add(device)
            if _read_only(folder):
                yield f"{folder}: is on a disk that is read-only; nothing can be saved"
            elif (free := _free(folder)) is not None and free < LEAST_FREE:
                yield f"{folder}: {size(free)} free; make room, or saves will fail"


def _about_engine(settings: Settings) -> tuple[str, tuple[str, ...], Collection[str]]:
    """The shared database in a line, its problems, and the citizens that it runs."""
    if settings.engine is None:
        return "", (), ()
    from scheduler.runtime.engine_report import look, wrong

    try:
        seen = look(settings, settings.engine)
    except SchedulerError as error:
        return "", (str(error),), ()
    run = [each.citizen for each in seen.citizens if each.left > 0]
    return f"{settings.engine.machine}; {seen.words}", tuple(wrong(seen)), run


def _about_home(
    settings: Settings, citizen: CitizenSettings, facts: CitizenFacts, elsewhere: Collection[str]
) -> Iterator[str]:
    name, home = citizen.name, citizen.home
    if not home.is_dir():
        yield f"{home}: does not exist; {PROGRAM} loop {name} makes it, or remove {name} from the settings"
        return
    if not is_ours(home) and os.geteuid() != 0:
        yield f"{home}: belongs to another user; run it as that user"
        return  # its problems are unknown
    if not allowed(home, os.X_OK):
        return  # as its settings say
    if (state := home / FILE_NAME).exists() and not allowed(state, os.R_OK):
        yield f"{state}: cannot be read; correct its permissions"
    yield from _about_owner(settings, citizen, facts, elsewhere)
    secrets, folder = _status(home / ".env"), _status(home)
    if secrets and folder and secrets.st_mode & 0o044 and folder.st_mode & 0o011:
        yield f"{home / '.env'}: others can read its secrets; chmod 600 {home / '.env'}"
    if facts.history_bytes > LARGE_HISTORY:
        yield f"{home / 'runs.db'}: {size(facts.history_bytes)}; set keep or keep_for in [history]"
    for aside in (each for each in _names(home) if ".json.corrupt-" in each):
        yield f"{home / aside}: could not be read and was set aside; compare it, then remove it"


def _about_owner(
    settings: Settings, citizen: CitizenSettings, facts: CitizenFacts, elsewhere: Collection[str]
) -> Iterator[str]:
    name = citizen.name
    if facts.owner is None:
        if name not in elsewhere:
            yield f"no process runs {name}{_died(citizen.home)}: {_starts(citizen, facts)}"
    elif not facts.answers and len(same := _names_of(citizen.home, settings)) > 1:
        yield f"{' and '.join(same)} are the same folder, and only one of them runs: keep one of these names"
    elif not facts.answers:
        unit = managed_by(citizen.home) if facts.service else None
        ends = unit.systemctl("restart") if unit else f"{PROGRAM} down {name}, then {PROGRAM} up {name}"
        yield f"process {facts.owner} runs {name}, but does not answer: {ends}"


def _names_of(home: Path, settings: Settings) -> list[str]:
    """The citizens that have this home: a link or a bind mount gives it a second name."""
    here, all_homes = _status(home), {each.name: _status(each.home) for each in settings.citizens}
    return [name for name, there in all_homes.items() if here and there and os.path.samestat(here, there)]


def _died(home: Path) -> str:
    return ", its last process died" if abandoned(home) else ""


def _starts(citizen: CitizenSettings, facts: CitizenFacts) -> str:
    unit = managed_by(citizen.home) if facts.service else None
    return unit.systemctl("start") if unit else f"{PROGRAM} up {citizen.name}"


def _shadowed() -> Iterator[str]:
    """Yield a line for each package that another distribution also brings and may have overwritten."""
    found = packages_distributions()
    for package in PACKAGES:
        if others := sorted({each for each in found.get(package, ()) if each != NAME}):
            fix = f"install {NAME} into an environment of its own, with pipx or uv tool"
            yield f"the package {package} is also one of {', '.join(others)}; {fix}"


# ------------------------------------------------------------------ files


def _status(path: Path) -> os.stat_result | None:
    with suppress(OSError), place(path, follow=True) as at:
        return at.status()
    return None


def _exists(path: str) -> bool:
    """Whether the file exists, or may exist because its folder is not readable."""
    try:
        os.stat(path)  # noqa: PTH116  # Path.exists() raises if a folder is not readable
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def _size(path: Path) -> int:
    found = _status(path)
    return found.st_size if found and stat.S_ISREG(found.st_mode) else 0


def _names(folder: Path) -> list[str]:
    with suppress(OSError):
        return sorted(names_in(folder))
    return []


def _free(root: Path) -> int | None:
    """The free bytes where the root is or will be."""
    with suppress(OSError):
        return shutil.disk_usage(_there(root)).free
    return None


def _read_only(root: Path) -> bool:
    if not hasattr(os, "statvfs"):  # Windows
        return False
    return bool(os.statvfs(_there(root)).f_flag & os.ST_RDONLY)


def _there(root: Path) -> Path:
    return next((each for each in (root, *root.parents) if each.exists()), root)
