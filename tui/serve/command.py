"""`experience-tui serve`: the monitor in a browser."""

import os
import stat
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.completion import citizens
from scheduler.cli.options import seconds
from scheduler.errors import PROGRAM, SchedulerError

if TYPE_CHECKING:
    from tui.serve.address import Address
    from tui.serve.server import Plan

PORT = 8023
REQUIRED = ("aiohttp", "prometheus_client", "textual_serve")
MISSING = (
    "serve needs packages that are not installed: ./run.sh serve installs them, or "
    "pip install 'experience-tui[serve]' where pip installed experience-tui"
)


@click.command(
    "serve",
    short_help="Serve the monitor to browsers, with health and metrics.",
    epilog="Example: experience-tui serve --read-only",
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option(
    "--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free port."
)
@click.option("--public-url", metavar="https://NAME", help="The name of a proxy with TLS in front.")
@click.option("--read-only", is_flag=True, help="Browsers can look, but change nothing.")
@click.option(
    "--citizen",
    "citizens",
    multiple=True,
    metavar="NAME",
    help="Only this citizen; may be repeated.",
    shell_complete=citizens,
)
@click.option(
    "--screens",
    default=20,
    show_default=True,
    type=click.IntRange(1, 200),
    help="The most screens at a time.",
)
@click.option(
    "--idle",
    default="12h",
    show_default=True,
    callback=seconds,
    metavar="TIME",
    help="A screen without input ends after this time.",
)
@click.option("--ascii", is_flag=True, help="Draw with plain ASCII.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The file that holds the token.",
)
@click.option("--new-token", is_flag=True, help="Create a new token; old links and cookies become invalid.")
@click.option("--link", is_flag=True, help="Print the link and exit.")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The settings file."
)
def serve_command(**options: Any) -> int:
    """Serve the monitor to browsers, with /healthz and /metrics for Prometheus.

    It attaches to what `up` or a service runs, and runs no task itself. Other machines reach it only
    through ssh, or through a proxy with TLS (--public-url); see docs/browser.md.
    """
    from tui.serve.address import address
    from tui.serve.credentials import default_file, token_in

    if sys.platform == "win32":
        raise SchedulerError("serve runs on Linux and macOS; on Windows, in WSL")
    where = address(options["host"], options["port"], options["public_url"])
    if not options["link"] and any(find_spec(name) is None for name in REQUIRED):
        raise SchedulerError(MISSING)
    file = options["token_file"] or default_file()
    token = token_in(file, new=options["new_token"])
    if options["link"]:
        click.echo(link(where, token))
        return 0
    return _serve(where, token, file, options)


def link(where: "Address", token: str) -> str:
    """The link that a person opens once, to give the browser its cookie."""
    return f"{where.origin}/?token={token}"


def _serve(where: "Address", token: str, file: Path, options: dict[str, Any]) -> int:
    from asyncio import run

    from scheduler.process.startup import prepare_process
    from scheduler.runtime.log_output import log_lines
    from tui.serve.server import serve

    prepare_process()
    plan = _plan(where, token, options)
    with log_lines(sys.stderr):
        run(serve(plan, _announcing(token, file)))
    return 0


def _plan(where: "Address", token: str, options: dict[str, Any]) -> "Plan":
    from scheduler.core.ports import FleetOptions
    from tui.serve.server import Plan
    from tui.serve.session import Limits

    config, citizens = options["config"], tuple(options["citizens"])
    monitor = ["--attach", *(f"--citizen={name}" for name in citizens)]
    monitor += [f"--{name.replace('_', '-')}" for name in ("read_only", "ascii") if options[name]]
    monitor += [f"--config={config.absolute()}"] if config else []
    return Plan(
        where,
        token,
        tuple(monitor),
        Limits(options["screens"], options["idle"]),
        FleetOptions(config=config, only=citizens, own=False, strict=False),
    )


def _announcing(token: str, file: Path) -> Callable[["Address"], None]:
    """A callback that prints where the monitor is; the token only if the output is not kept."""

    def announce(where: "Address") -> None:
        if _is_kept(sys.stdout.fileno()):
            how = f"{PROGRAM} serve --link prints the link"
            click.echo(f"{where.origin}/ is open; its token is in {file}; {how}")
        else:
            click.echo(f"{link(where, token)}\nopen this link; Ctrl+C ends it")
        sys.stdout.flush()

    return announce


def _is_kept(descriptor: int) -> bool:
    """Whether the output goes to a file, or to a journal's socket."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISREG(mode) or stat.S_ISSOCK(mode)
