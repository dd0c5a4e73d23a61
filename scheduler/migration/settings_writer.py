"""Writes moved lines into a citizen's settings file, and reads them back as the scheduler will."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scheduler.config.citizen import Sources, citizen
from scheduler.config.files import LIMIT, FilesWithUnwritten
from scheduler.config.settings import CitizenSettings
from scheduler.core.schedules.schedule import AtStart, Every
from scheduler.errors import BadSettings, SchedulerError
from scheduler.migration.crontab import BOM
from scheduler.migration.planned import CrontabPlan, Fate, LinePlan
from scheduler.schema.json_schema import DIRECTIVE

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

_MARK = re.compile(rb"(?m)^(" + BOM + rb")?# moved to experience \([^)\n]*\): ")
LONGEST = "24h"  # a run longer than this hangs, unless it is a daemon; cron ends none
LEAST = 150  # bytes of a task's keys besides its command
SETTINGS = "experience.toml"
MOST = 64  # workers: cron starts everything due at once
WORKERS, LIMIT_OF_WORKERS = 4, 256  # without a setting, and at most


@dataclass(frozen=True, slots=True)
class Target:
    """A citizen's own settings file, and its settings from elsewhere."""

    name: str
    home: Path
    given: Sources
    text: str | None  # the file's text; None: no file

    @property
    def file(self) -> Path:
        return self.home / SETTINGS


def settings_with(target: Target, moved: Iterable[LinePlan]) -> str:
    """The settings with these lines added; raises SchedulerError if they would not mean the same."""
    import tomlkit  # 40 ms that a dry run does not need
    from tomlkit.exceptions import TOMLKitError

    moved = tuple(moved)
    _check_length(target, sum(LEAST + len(planned.work.argv[-1]) for planned in moved if planned.work))
    try:
        document = tomlkit.parse(f"{DIRECTIVE}\n" if target.text is None else target.text)
        _more_workers(document, target, moved)
        new = [planned for planned in moved if not _extend_table(document, _path(planned), _table(planned))]
        text = _with_tables(document.as_string(), new)
    except (TOMLKitError, TypeError, AttributeError) as error:  # an odd shape, such as tasks = {}
        raise SchedulerError(f"{target.file}: cannot be added to: {error}; write it with [tables]") from error
    _check(target, text, moved)
    return text


def _path(planned: LinePlan) -> tuple[str, ...]:
    return ("wake",) if planned.fate is Fate.WAKE else ("tasks", planned.name)


def _more_workers(document: "TOMLDocument", target: Target, moved: Collection[LinePlan]) -> None:
    """Set enough workers: four would hold up what cron starts at once, and each daemon occupies one."""
    given = document.get("workers", target.given.main.get("workers"))
    daemons = sum(isinstance(planned.schedule, AtStart) for planned in moved)
    usual = min(MOST, max(WORKERS, len(moved) - daemons)) if given is None else int(given)
    wanted = min(LIMIT_OF_WORKERS, usual + daemons)
    if wanted == (WORKERS if given is None else int(given)):
        return
    import tomlkit

    line = tomlkit.item(wanted)
    line.trivia.comment_ws = "  "
    more = f", {daemons} of them for good" if daemons else ""
    line.comment(f"as many as there are lines: cron starts them all at once{more}")
    if "workers" in document:
        document["workers"] = line
    else:
        document.append("workers", line)  # it is placed before the first table


def _extend_table(document: Any, path: tuple[str, ...], keys: Mapping[str, Any]) -> bool:
    """Add the keys to a table that exists; False if it does not."""
    for name in path:
        if name not in document:
            return False
        document = document[name]
    document.update(keys)
    return True


def _with_tables(text: str, new: Iterable[LinePlan]) -> str:
    """The text with the new tables at its end; the rest stays the same, to the byte."""
    import tomlkit

    parts = [text if not text or text.endswith("\n") else f"{text}\n"]
    parts += [f"[{'.'.join(_path(planned))}]\n{tomlkit.dumps(_table(planned))}" for planned in new]
    return "\n".join(part for part in parts if part)


def _table(planned: LinePlan) -> dict[str, Any]:
    """The keys of one task or of the wake."""
    schedule, work, keys = planned.schedule, planned.work, dict[str, Any]()
    if isinstance(schedule, Every):
        keys["every"] = str(schedule)
    else:
        keys["cron"] = "@reboot" if isinstance(schedule, AtStart) else str(schedule)
        keys |= {"timezone": planned.zone} if planned.zone else {}
    if work:
        import tomlkit

        environment = tomlkit.inline_table()
        environment.update({name: _plain(value) for name, value in work.environment.items()})
        keys |= {
            "command": [_plain(word) for word in work.argv],
            "working_folder": _plain(str(work.folder)),
            "environment": environment,
            "inherit_environment": False,
        }
        keys |= {"input": _plain(work.input.decode())} if work.input else {}
        keys["timeout"] = "none" if isinstance(schedule, AtStart) else LONGEST
    if planned.fate is Fate.TASK:
        keys["catch_up"] = False
        if work and planned.name == "offsite_backup":
            keys["retries"] = 0  # the built-in task retries, cron does not
    return keys


def _plain(text: str) -> str:
    """The text, escaped: a `${NAME}` in it belongs to the shell, not to the settings."""
    return text.replace("${", "$${")


def crontab_without(crontab: CrontabPlan, citizen: str) -> bytes:
    """The crontab with the moved lines commented out, and nothing else changed."""
    return b"".join(_commented_out(planned, citizen) for planned in crontab.lines)


def uncommented(content: bytes) -> bytes:
    """The crontab as it was before any line of it moved."""
    return _MARK.sub(rb"\1", content)


def _commented_out(planned: LinePlan, citizen: str) -> bytes:
    raw = planned.line.raw
    if not planned.moves:
        return raw
    start = BOM if planned.line.number == 1 and raw.startswith(BOM) else b""
    return start + f"# moved to experience ({citizen}/{planned.name}): ".encode() + raw.removeprefix(start)


# ------------------------------------------------------------------ read back


def _check_length(target: Target, length: int) -> None:
    if length > LIMIT:
        what = f"{target.file} would be longer than {LIMIT >> 10} KiB"
        raise SchedulerError(f"{what}; move fewer lines at a time, each to another citizen")


def _check(target: Target, text: str, moved: Iterable[LinePlan]) -> None:
    _check_length(target, len(text.encode()))
    files = FilesWithUnwritten({str(target.file): text})
    read = citizen(target.name, target.home, target.given, files).citizen
    if read.problems:
        raise BadSettings(read.problems)
    if changed := next((planned for planned in moved if not _same(planned, read)), None):
        where = f"line {changed.line.number} ({changed.name})"
        raise SchedulerError(f"{where} would not mean the same in the settings; move it by hand")


def _same(planned: LinePlan, read: CitizenSettings) -> bool:
    if planned.fate is Fate.WAKE:
        return read.wake.schedule == planned.schedule and read.wake.work == planned.work
    task = next((task for task in read.tasks if task.name == planned.name), None)
    if task is None or task.schedule != planned.schedule:
        return False
    return task.set_up if planned.work is None else task.work == planned.work
