"""`experience-tui up`, `down` and `loop`: citizens without a screen."""

from pathlib import Path

import click

from scheduler.cli.completion import citizens
from scheduler.cli.options import config_file, seconds, some_citizens
from scheduler.core.ports import FleetOptions

as_root = click.option("--own-as-root", is_flag=True, help="As root, run other users' citizens, too.")
log_json = click.option("--log-json", is_flag=True, help="Log lines as JSON.")


@click.command(
    "up", short_help="Run citizens in the background.", epilog="Example: experience-tui up opus mira"
)
@some_citizens
@click.option(
    "--take-over",
    is_flag=True,
    help="Also move what an open monitor runs into the background; the monitor stays open.",
)
@as_root
@log_json
@config_file
def up_command(
    names: tuple[str, ...], take_over: bool, own_as_root: bool, log_json: bool, config: Path | None
) -> int:
    """Run citizens in the background, each in its own screen session, experience_NAME.

    Without CITIZEN: all citizens that no process runs. Where the program screen is missing, a loop is a
    process without a terminal; its log is in its home.
    """
    from scheduler.runtime.background_loops import start_all

    return start_all(config, names, own_as_root=own_as_root, log_json=log_json, take_over=take_over)


@click.command("down", epilog="Example: experience-tui down opus")
@some_citizens
@config_file
def down_command(names: tuple[str, ...], config: Path | None) -> int:
    """Stop loops, and kill one that hangs. Monitors and services are left alone.

    Without CITIZEN: all loops.
    """
    from scheduler.runtime.background_loops import stop_all

    return stop_all(config, names)


@click.command(
    "loop",
    short_help="Run one citizen in the foreground, without a screen.",
    epilog="Example: experience-tui loop opus",
)
@click.argument("name", metavar="CITIZEN", shell_complete=citizens)
@click.option("--interval", callback=seconds, metavar="SECONDS", help="Time between wakes.")
@click.option("--background-only", is_flag=True, help="Run tasks, but no wakes.")
@click.option("--no-background", is_flag=True, help="Run wakes, but no tasks.")
@as_root
@log_json
@config_file
def loop_command(
    name: str,
    interval: float | None,
    background_only: bool,
    no_background: bool,
    own_as_root: bool,
    log_json: bool,
    config: Path | None,
) -> int:
    """Run one citizen in the foreground, without a screen, until it is stopped."""
    from scheduler.runtime.headless import run_headless

    if background_only and no_background:
        raise click.UsageError("--background-only and --no-background leave nothing to do")
    options = FleetOptions(
        config=config,
        only=(name,),
        interval=interval,
        background=not no_background,
        wakes=not background_only,
        own_as_root=own_as_root,
    )
    return run_headless(options, log_json=log_json)
