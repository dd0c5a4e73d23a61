"""`experience-tui init`: the home of a new citizen."""

from pathlib import Path

import click

from scheduler.cli.options import config_file
from scheduler.core.wording.text import clean
from scheduler.errors import PROGRAM


@click.command(
    "init",
    short_help="Make a citizen: its folder and its settings file.",
    epilog="Example: experience-tui init opus",
)
@click.argument("name")
@config_file
def init_command(name: str, config: Path | None) -> int:
    """Make a citizen: its folder, and a settings file with comments that say what to write."""
    from scheduler.config.new_home import make_citizen

    file, made = make_citizen(name, config)
    if not made:
        click.echo(clean(f"{name} is there already; its settings: {file}"))
        return 0
    click.echo(clean(f"made {name}; its settings: {file}"))
    click.echo(f"a first task: {PROGRAM} add {name} hello --every 5m -- date")
    click.echo(f"to run it: {PROGRAM} up {name}")
    return 0
