"""Reads all settings once, at the edge: files, environment and defaults become frozen values."""

import os
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scheduler.config.citizen import BAD_NAME, CitizenSettings, LoadedTable, Sources, citizen
from scheduler.config.files import Files, FileStamp, Unusable, default_root, main_candidates, scripts, stamp
from scheduler.config.ui import monitor
from scheduler.core.ui_options import Monitor
from scheduler.errors import BadSettings
from scheduler.schema.table import Problems, Source, is_table, key, read
from scheduler.schema.values import nested, path, text
from scheduler.system.homes import NAME, homes

__all__ = ["CitizenSettings", "Settings", "fingerprint", "load", "load_or_raise"]

FIRST = "opus"  # the citizen that the first start creates
STARTER = """\
# The settings of this citizen: [wake] and [tasks.NAME]. Every key is in docs/settings.md.
#
# [wake]
# every = "10m"
# command = ["sh", "-c", "cat > last_wake.json"]
"""


@dataclass(frozen=True, slots=True)
class SettingsFingerprint:
    """What the settings were read from, and what that looked like at the time."""

    files: tuple[str, ...]
    root: Path
    looked_for: tuple[
        tuple[str, frozenset[str]], ...
    ]  # each home, and the tasks that may have a script there
    stamps: tuple[FileStamp | None, ...] = ()
    homes: tuple[str, ...] = ()
    scripts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Settings:
    """All there is to know before anything runs.

    `problems` are those of the main file and the environment; a citizen that one of them is about has it
    among its own too. `known` names every citizen there is, also those that `only` left out. `mark` is the
    fingerprint of what was read: while `fingerprint(settings)` equals it, nothing has changed.
    """

    root: Path
    citizens: tuple[CitizenSettings, ...] = ()
    problems: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    known: tuple[str, ...] = ()
    monitor: Monitor = field(default=Monitor())
    file: str = ""  # the main one, whether it is there or not
    mark: SettingsFingerprint | None = field(default=None, repr=False, compare=False)

    def citizen(self, name: str) -> CitizenSettings | None:
        return next((each for each in self.citizens if each.name == name), None)


@dataclass(frozen=True, slots=True)
class MainTable:
    """The keys of the main file."""

    root: Path | None = key(path)  # noqa: RUF009  # a field, not a shared value
    citizens: Mapping[str, Any] | None = key(nested)
    llm: Mapping[str, Any] | None = key(nested)
    alerts: Mapping[str, Any] | None = key(nested)
    history: Mapping[str, Any] | None = key(nested)
    monitor: Mapping[str, Any] | None = key(nested)
    keys: Mapping[str, Any] | None = key(nested)
    socket_group: str | None = key(text)


def load(
    *,
    config: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    only: Collection[str] = (),
    create: bool = False,
) -> Settings:
    """Everything that is set, and everything that is wrong with it; raises nothing for a bad file.

    `only` leaves out other citizens; `create` makes the homes that are missing, and a first citizen.
    """
    files = Files()
    main, file, wrong = _main(files, config, environ)
    root = _root(main, environ)
    spelt, more = _environment(environ)
    wrong += more + _bad_citizens(main.citizens or {}, file) + _bad_citizens(spelt, "environment")
    named = {name for name in (*(main.citizens or {}), *spelt) if NAME.fullmatch(name)}
    made = _create(root, named, only) if create else []
    there, unlisted = _homes(root)
    known = tuple(sorted(named | set(there)))
    for_all = {
        "llm": main.llm,
        "alerts": main.alerts,
        "history": main.history,
        "socket_group": main.socket_group,
    }
    shared_by_all = {name: table for name, table in for_all.items() if table is not None}
    found = [
        citizen(
            name,
            root / name,
            Sources(_of(main.citizens, name), _of(spelt, name), file, environ, shared_by_all),
            files,
        )
        for name in known
        if not only or name in only
    ]
    of_main = [line for each in found for line in each.shared]
    return Settings(
        root=root,
        citizens=tuple(_held(each.citizen, wrong) for each in found),
        problems=tuple(dict.fromkeys((*wrong, *made, *unlisted, *of_main))),
        files=tuple(map(Path, files.stamps)),
        known=known,
        monitor=monitor(main.keys, main.monitor, file),
        file=file,
        mark=_mark(files, root, there, found),
    )


def load_or_raise(
    *,
    config: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    only: Collection[str] = (),
    create: bool = False,
) -> Settings:
    """The settings, if nothing is wrong with any of them; raises BadSettings with every problem."""
    settings = load(config=config, environ=environ, only=only, create=create)
    own = (line for each in settings.citizens for line in each.problems)
    if problems := tuple(dict.fromkeys((*settings.problems, *own))):
        raise BadSettings(problems)
    return settings


def fingerprint(settings: Settings) -> Hashable:
    """Differs from `settings.mark` once a file, the set of homes or a script found by name has changed."""
    if (mark := settings.mark) is None:
        return None
    found = (file for home, tasks in mark.looked_for for file in scripts(home, tasks).values())
    return replace(
        mark,
        stamps=tuple(map(stamp, mark.files)),
        homes=tuple(_homes(mark.root)[0]),
        scripts=frozenset(found),
    )


def _mark(
    files: Files, root: Path, there: Iterable[str], found: Collection[LoadedTable]
) -> SettingsFingerprint:
    return SettingsFingerprint(
        files=tuple(files.stamps),
        root=root,
        looked_for=tuple((str(each.citizen.home), each.looked_for) for each in found),
        stamps=tuple(files.stamps.values()),
        homes=tuple(there),
        scripts=frozenset(file for each in found for file in each.scripts.values()),
    )


# ------------------------------------------------------------------ the main file and the environment


def _main(files: Files, config: Path | None, environ: Mapping[str, str]) -> tuple[MainTable, str, list[str]]:
    """The main file's tables, its name, and what is wrong with it."""
    candidates = [str(each) for each in main_candidates(config, environ)]
    for file in candidates:
        try:
            content = files.toml(file)
        except Unusable as error:
            return MainTable(), file, [str(error)]
        if content is not None:
            problems = Problems({(): Source(file)})
            return read(MainTable, content, (), problems), file, [line for _, line in problems.found]
    missing = [
        f"{file}: does not exist; create it, or name another" for file in candidates if len(candidates) == 1
    ]
    return MainTable(), candidates[0], missing


def _root(main: MainTable, environ: Mapping[str, str]) -> Path:
    if chosen := environ.get("EXPERIENCE_ROOT"):
        return Path(chosen).expanduser().absolute()
    return main.root or default_root()


def _environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    if not any(name.upper().startswith("EXPERIENCE_CITIZENS") for name in environ):
        return {}, []
    from scheduler.config.environment import citizens  # pydantic-settings: 200 ms that nobody else pays

    return citizens(environ)


def _bad_citizens(tables: Mapping[str, Any], file: str) -> list[str]:
    problems = Problems({(): Source(file)})
    for name, table in tables.items():
        if not NAME.fullmatch(name):
            problems.add(("citizens", name), BAD_NAME)
        is_table(table, ("citizens", name), problems)
    return [line for _, line in problems.found]


def _of(tables: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    table = (tables or {}).get(name)
    return table if isinstance(table, dict) else {}


def _held(citizen: CitizenSettings, wrong: list[str]) -> CitizenSettings:
    """With a broken main file nobody can say what a citizen should run, so it runs nothing."""
    if not wrong:
        return citizen
    return CitizenSettings(citizen.name, citizen.home, problems=(*wrong, *citizen.problems))


# ------------------------------------------------------------------ the homes


def _homes(root: Path) -> tuple[list[str], list[str]]:
    try:
        return homes(root), []
    except OSError as error:
        return [], [f"{root}: cannot be listed: {error.strerror}; correct root, or the folder's permissions"]


def _create(root: Path, named: Collection[str], only: Collection[str]) -> list[str]:
    """Make the homes that are missing; a first citizen, if there is none. What could not be made."""
    missing = [name for name in named if not only or name in only]
    if not named and not _homes(root)[0]:
        missing = [name for name in only or (FIRST,) if NAME.fullmatch(name)]
    wrong = []
    for name in missing:
        try:
            _make_home(root / name)
        except OSError as error:
            wrong.append(f"{root / name}: cannot be made: {error.strerror}; make it, or correct root")
    return wrong


def _make_home(home: Path) -> None:
    if home.is_dir():
        return
    home.mkdir(mode=0o700, parents=True)
    (home / "experience.toml").write_text(STARTER, encoding="utf-8")
