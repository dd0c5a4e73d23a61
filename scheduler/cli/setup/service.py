"""`experience-tui service`: a citizen's loop as a systemd service."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.completion import citizens

if TYPE_CHECKING:
    from scheduler.runtime.systemd_unit import Place


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that the three verbs share."""
    for option in (
        click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="The settings file."),
        click.option(
            "--into",
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="The folder of units; by default systemd's.",
        ),
        click.option("--user", is_flag=True, help="For your own systemd --user: needs no root."),
        click.argument("name", shell_complete=citizens),
    ):
        command = option(command)
    return command


@click.group(
    "service",
    short_help="Run a citizen as a service of systemd.",
    epilog="Example: experience-tui service install opus",
)
def service_command() -> None:
    """Run a citizen as a service: experience-NAME.service, for systemctl and journalctl."""


@service_command.command(
    "install",
    short_help="Write a hardened unit for this citizen.",
    epilog="Example: sudo experience-tui service install opus --dry-run",
)
@_options
@click.option(
    "--writable",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Let tasks write to this folder, too; repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Only print what would be written.")
def install_command(
    name: str, user: bool, into: Path | None, config: Path | None, writable: tuple[Path, ...], dry_run: bool
) -> int:
    """Write a hardened unit for this citizen and mark its home as run by the service."""
    from scheduler.runtime.systemd_unit import install, place
    from scheduler.storage.lock import owner_of

    where = place(name, user=user, into=into, config=config, writable=writable)
    if not dry_run:
        install(where)
    click.echo(f"# {where.file}\n{where.text}", nl=False)
    if dry_run:
        click.echo("nothing was written: --dry-run", err=True)
        return 0
    if owner := owner_of(where.home):
        click.echo(f"pid {owner.pid} owns {name}: stop that process first", err=True)
    for line in _next_steps(where):
        click.echo(line, err=True)
    return 0


@service_command.command(
    "remove",
    short_help="Remove it: any process may own the citizen.",
    epilog="Example: sudo experience-tui service remove opus",
)
@_options
def remove_command(name: str, user: bool, into: Path | None, config: Path | None) -> int:
    """Remove the unit and the mark in the home: any process may own the citizen again."""
    from scheduler.runtime.systemd_unit import place_of, remove

    where = place_of(name, user=user, into=into, config=config)
    removed = remove(where)
    for line in removed or [f"{where.file} does not exist, and {where.home} is not marked"]:
        click.echo(f"removed {line}" if removed else line)
    if removed:
        click.echo(f"now: {where.unit.systemctl('stop')}; {_manager(where)} daemon-reload", err=True)
    return 0


@service_command.command(
    "show", short_help="Print the installed unit.", epilog="Example: experience-tui service show opus"
)
@_options
def show_command(name: str, user: bool, into: Path | None, config: Path | None) -> int:
    """Print the installed unit, and whether the home is marked as run by it."""
    from scheduler.runtime.systemd_unit import installed, place_of

    click.echo(installed(place_of(name, user=user, into=into, config=config)))
    return 0


def _next_steps(where: "Place") -> list[str]:
    user = " --user" if where.unit.user else ""
    steps = [
        f"now: {_manager(where)} daemon-reload; {where.unit.systemctl('enable --now')}",
        f"its log: journalctl{user} -u {where.unit.name} -f",
    ]
    return [*steps, "to run without a login: loginctl enable-linger"] if user else steps


def _manager(where: "Place") -> str:
    return "systemctl --user" if where.unit.user else "systemctl"
