"""Makes the home of a new citizen, with a settings file that says what to write in it."""

from pathlib import Path

from scheduler.config.citizen import BAD_NAME, CitizenTable
from scheduler.config.defaults import STARTER
from scheduler.config.loader import load
from scheduler.errors import SchedulerError
from scheduler.schema.json_schema import DIRECTIVE, write_beside
from scheduler.system.files import replace_file
from scheduler.system.homes import NAME


def make_citizen(name: str, config: Path | None) -> tuple[Path, bool]:
    """The settings file of a citizen, and whether this call made it; raises SchedulerError, OSError."""
    if not NAME.fullmatch(name):
        raise SchedulerError(f"{name!r} {BAD_NAME}")
    home = load(config=config, only=(name,)).valid().root / name
    file = home / "experience.toml"
    if file.exists():
        return file, False
    if home.is_dir():
        write_starter(home)
    else:
        make_home(home)
    return file, True


def make_home(home: Path) -> None:
    """Make the folder, its root and its settings file; does nothing if it exists. Raises OSError."""
    if home.is_dir():
        return
    _make_root(home.parent)
    home.mkdir(mode=0o700)
    write_starter(home)


def write_starter(home: Path) -> None:
    """Write the first settings file of a home; raises OSError."""
    file = home / "experience.toml"
    write_beside(file, CitizenTable)
    replace_file(file, f"{DIRECTIVE}\n{STARTER}".encode())


def _make_root(folder: Path) -> None:
    """Make the root: others may enter it, since their homes may lie there, but only the owner may write."""
    if not folder.exists():
        _make_root(folder.parent)
        folder.mkdir(mode=0o755, exist_ok=True)
