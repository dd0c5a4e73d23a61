"""The one file of the golden tests that knows where things are: a module that moves changes only this."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel

from scheduler.cli.main import run
from scheduler.cli.setup import migrate as machine_cron
from scheduler.cli.v2_flags import core
from scheduler.config import files as settings_files
from scheduler.config.loader import load
from scheduler.core.records import FinishedRun
from scheduler.core.task import Outcome, Retention, Trigger
from scheduler.executors.output import OutputBuffer
from scheduler.migration.installed_cron import InstalledCron
from scheduler.process import process_info as facts
from scheduler.process import who
from scheduler.process.process_info import Running
from scheduler.schema.json_codec import to_json
from scheduler.storage.history_file import HistoryFile
from scheduler.system.clock import SystemClock
from tests.fakes import NOON
from tui.__main__ import monitor

CHECKOUT = Path(__file__).parents[2]


def experience_tui(words: Sequence[str]) -> int:
    """The command `experience-tui`, in this process: its exit code."""
    return run(monitor, words, "experience-tui")


def core_py(words: Sequence[str]) -> int:
    """The command `./core.py`, in this process: its exit code."""
    return run(core, words, "core.py")


def stand_still(patch: pytest.MonkeyPatch) -> None:
    """From here on it is noon of 2 March 2026 (UTC), on a machine without a cron."""
    patch.setattr(SystemClock, "now", staticmethod(lambda: NOON))
    patch.setattr(machine_cron, "installed_cron", lambda user, home: InstalledCron())
    patch.setattr(machine_cron, "processes_of", lambda user: {})
    patch.setattr(machine_cron, "is_folder", lambda path: True)
    # What other tests of this process left behind: the user's name, and the help option that Click keeps with
    # each command as it was first used, even without the monitor above it.
    forget_names()
    for command in _commands(monitor):
        command._help_option = None


def forget_names() -> None:
    """Who this process is, is asked again."""
    who.user_name.cache_clear()
    who._this_process.cache_clear()


def _commands(group: click.Group) -> Iterator[click.Command]:
    for name in group.commands:
        command = group.get_command(click.Context(group), name)
        if command:
            yield command
            if isinstance(command, click.Group):
                yield from _commands(command)


def look_for_the_main_file_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The file for the whole machine is here; that of the user goes by the environment."""
    patch.setattr(settings_files, "SYSTEM_FILE", folder / "etc/experience/experience.toml")


def without_a_zone(patch: pytest.MonkeyPatch) -> None:
    """The time zone of this machine is unknown."""
    patch.setenv("TZ", "America/Nowhere")


def running_since(seconds: float) -> str:
    """This process, as a state file notes a run that began so long ago; JSON."""
    pid = os.getpid()
    return json.dumps(to_json(Running(pid, facts.born(pid) or 0.0, NOON - seconds)))


def record_runs(home: Path) -> None:
    """A history with a run of each outcome and trigger, and whatever a run may have printed."""
    fine = FinishedRun(
        "report", Trigger.SCHEDULE, 1, NOON - 7200, NOON - 7198.75, 1.25, Outcome.OK, "3 pages"
    )
    runs = [fine._replace(output=_printed(b"\x1b[31mred\x1b[0m\tand more\nlast line without an end"))]
    for number, (outcome, trigger) in enumerate(zip(Outcome, _triggers(), strict=False), 1):
        started = NOON - 6000 + 600 * number
        runs.append(
            fine._replace(
                task="heartbeat" if number % 2 else "report",
                trigger=trigger,
                attempt=number,
                started=started,
                finished=started + 75 * number,
                seconds=75.0 * number,
                outcome=outcome,
                text=f"\n it is {outcome}\x07 \nsecond line",
                traceback="Traceback: none\n" if outcome is Outcome.FAILED else "",
            )
        )
    runs.append(fine._replace(seconds=0.012, text="", started=NOON - 1, finished=NOON, trigger=None))
    runs.append(fine._replace(seconds=36125.0, text="x" * 300, started=NOON - 36125.0, finished=NOON))
    file = HistoryFile(home)
    file.add(runs, Retention())
    file.close()


def _triggers() -> list[Trigger]:
    return [*Trigger, *Trigger]


def _printed(content: bytes) -> OutputBuffer:
    output = OutputBuffer()
    output.write(content)
    return output


# ------------------------------------------------------------------ what settings come to


def resolved(config: Path, tasks: Sequence[str]) -> list[str]:
    """A line for each value that the settings come to, of these tasks only (with none: of all)."""
    settings = load(config=config)
    lines = [f"problem: {line}" for line in settings.problems]
    lines += [f"monitor{line}" for line in _lines("", settings.monitor)]
    for citizen in settings.citizens:
        left_out = {"tasks", "hidden"} if citizen.refused else {"tasks", "refused", "hidden"}
        names = [each.name for each in fields(citizen) if each.name not in left_out]
        found = {name: getattr(citizen, name) for name in names}
        lines += [f"{citizen.name}{line}" for line in _lines("", found)]
        for task in citizen.tasks:
            if not tasks or task.name in tasks:
                lines += [f"{citizen.name}.{task.name}{line}" for line in _lines("", task)]
    return lines


def _lines(at: str, value: Any) -> Iterator[str]:
    parts = _parts(value)
    if parts:
        for name, each in parts.items():
            yield from _lines(f"{at}.{name}", each)
    else:
        yield f"{at} = {_spelled(value)}"


def _parts(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return {str(name): each for name, each in value.items()}
    if is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, BaseModel):
        return dict(value)
    return value._asdict() if hasattr(value, "_asdict") else {}


def _spelled(value: Any) -> str:
    if isinstance(value, frozenset):
        return repr(sorted(value))
    if isinstance(value, Path) or is_dataclass(value):
        return str(value)
    if callable(value):
        return f"the function {value.__name__}"
    return f"{value}" if hasattr(value, "utcoffset") else repr(value)
