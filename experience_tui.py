"""The commands of the installed package: each first notices if another package took a name of ours."""

import sys
from importlib.machinery import PathFinder
from pathlib import Path

# How our packages begin. Both names are those of other distributions, too, and installers overwrite silently.
OURS = {
    "scheduler": '"""The scheduler: runs the tasks of citizens on time',
    "tui": '"""The monitor of citizens in a terminal',
}


def main() -> None:
    """The console script experience-tui."""
    _refuse_strangers()
    from tui.__main__ import main as command

    command()


def core() -> None:
    """The console script experience-core: what core.py is in a checkout."""
    _refuse_strangers()
    from scheduler.process.garbage_collection import hold_collections

    hold_collections()
    from scheduler.cli.main import main as command

    raise SystemExit(command())


def _refuse_strangers() -> None:
    if problems := [line for name in OURS if (line := shadowed(name))]:
        print(f"experience: {problems[0]}", file=sys.stderr)
        raise SystemExit(2)


def shadowed(name: str) -> str:
    """Why the package of this name is not ours, with the fix; nothing is imported for it."""
    found = PathFinder.find_spec(name)
    file = Path(found.origin) if found and found.origin else None
    if file and _beginning(file).startswith(OURS[name]):
        return ""
    fix = "install experience-tui into an environment of its own: pipx install experience-tui"
    if file is None:
        return f"the package {name} is not there; {fix}"
    return f"{file} belongs to {_others(name) or 'another package'}, which took the place of ours; {fix}"


def _beginning(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _others(name: str) -> str:
    from importlib.metadata import packages_distributions  # 100 ms that only the error pays

    others = {each for each in packages_distributions().get(name, ()) if each != "experience-tui"}
    return ", ".join(sorted(others))
