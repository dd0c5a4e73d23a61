"""`experience-tui init`: the home of a new citizen."""

from pathlib import Path

import click

from scheduler.cli.options import config_file
from scheduler.config.loader import load
from scheduler.core.wording.text import clean
from scheduler.errors import PROGRAM, BadSettings, SchedulerError
from scheduler.system.homes import NAME


@click.command(
    "init",
    short_help="Make a citizen: its folder and its settings file.",
    epilog="Example: experience-tui init opus",
)
@click.argument("name")
@config_file
def init_command(name: str, config: Path | None) -> int:
    """Make a citizen: its folder, and a settings file that says what to write in it."""
    from scheduler.config.citizen import BAD_NAME
    from scheduler.config.new_home import make_home, write_starter

    if not NAME.fullmatch(name):
        raise SchedulerError(f"{name!r} {BAD_NAME}")
    settings = load(config=config, only=(name,))
    if settings.problems:
        raise BadSettings(settings.problems)
    home = settings.root / name
    file = home / "experience.toml"
    if file.exists():
        click.echo(clean(f"{name} is there already; its settings: {file}"))
        return 0
    if home.is_dir():
        write_starter(home)
    else:
        make_home(home)
    click.echo(clean(f"made {name}; its settings: {file}"))
    click.echo(f"a first task: {PROGRAM} add {name} hello --every 5m -- date")
    click.echo(f"to run it: {PROGRAM} up {name}")
    return 0
