"""The environment of a child process, and checks of its program."""

import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scheduler.core.task import Context
from scheduler.errors import TaskFailed
from scheduler.process.startup import as_utf8, starters_environment
from scheduler.system.hanging_disks import on_disk

MARK = "EXPERIENCE_RUN"  # inherited by everything that a run starts, so that it can be found and ended


def new_mark() -> str:
    return uuid.uuid4().hex


def environment(
    context: Context, mark: str, more: Mapping[str, str], folder: Path | None = None, inherit: bool = True
) -> dict[str, str]:
    """The starter's variables, the citizen's secrets, the task's own variables, then those of the run.

    Without `inherit` only the last two.
    """
    home = str(context.home)
    run_variables = {
        **(context.variables or {}),
        "CITIZEN": context.citizen,
        "EXPERIENCE_HOME": home,
        "EXPERIENCE_TASK": context.task,
    }
    around = {**starters_environment(), **_as_utf8(context.secrets)} if inherit else {}
    # PWD would otherwise still name the folder that the scheduler was started in.
    return {**around, **_as_utf8(more), **run_variables, MARK: mark, "PWD": str(folder or home)}


def _as_utf8(variables: Mapping[str, str]) -> dict[str, str]:
    return {as_utf8(name): as_utf8(value) for name, value in variables.items()}


def check_folder(folder: Path) -> None:
    _on_disk(folder, lambda: _check_folder(folder))


def check_program(argv: Sequence[str], folder: Path, path: str | None) -> None:
    """Check the command first, for a clear error message."""
    _on_disk(folder, lambda: _check_program(argv, folder, path))


def _on_disk(folder: Path, check: Callable[[], None]) -> None:
    try:
        on_disk(folder, check)
    except OSError as error:
        raise TaskFailed(str(error)) from error


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise TaskFailed(f"there is no folder {folder} to run in")


def _check_program(argv: Sequence[str], folder: Path, path: str | None) -> None:
    _check_folder(folder)
    if not argv or not argv[0]:
        raise TaskFailed("the command is empty; give it a program")
    program = argv[0]
    if "\0" in "".join(argv):
        raise TaskFailed(f"the command {program!r} holds a NUL character")
    if os.sep in program:
        _check_file(program, folder / program)
    else:
        _check_on_path(program, folder, path)


def _check_file(program: str, file: Path) -> None:
    if not file.exists():
        raise TaskFailed(f"no such program: {program}")
    if file.is_dir():
        raise TaskFailed(f"{program} is a folder, not a program")
    if not os.access(file, os.X_OK):
        raise TaskFailed(f"{program} is not executable; chmod +x it, or put its interpreter first")


def _check_on_path(program: str, folder: Path, path: str | None) -> None:
    places = (path if path is not None else os.defpath).split(os.pathsep)
    # The child looks up relative places from its own folder.
    path = os.pathsep.join(str(folder / place) for place in places)
    if shutil.which(program, path=path):
        return
    if found := shutil.which(program, mode=os.F_OK, path=path):
        raise TaskFailed(f"{program} is not executable: {found}")
    raise TaskFailed(f"no such program: {program}; give its full path in command")
