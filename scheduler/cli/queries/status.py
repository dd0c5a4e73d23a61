"""`experience-tui status`: the last and the next run of every task."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from time import time

import click

from scheduler import background
from scheduler.cli.exit_codes import FAILED, OK
from scheduler.cli.options import as_document, config_file, some_citizens
from scheduler.cli.queries.idle import print_idle
from scheduler.cli.standard_error import print_problems, print_to_stderr
from scheduler.core.views import Snapshot
from scheduler.core.wording.spans import moment
from scheduler.core.wording.text import failing, lines
from scheduler.errors import NO_CITIZENS
from scheduler.system.clock import SystemClock


@click.command("status", epilog="Example: experience-tui status opus mira")
@some_citizens
@config_file
@as_document
def status_command(names: tuple[str, ...], config: Path | None, as_json: bool) -> int:
    """Show the last and the next run of every task.

    They come from the owner, or from the files if there is none. Exit code 1 if the last run of any task
    failed.
    """
    return print_status(names, config, as_json)


def print_status(names: tuple[str, ...], config: Path | None, as_json: bool = False) -> int:
    snapshots = background.read_citizens(names, config)
    wrong = print_problems(snapshots)
    print_to_stderr(filter(None, map(_goes_on, snapshots)))
    if as_json:
        click.echo(json.dumps([asdict(snapshot) for snapshot in snapshots], indent=2))
    else:
        click.echo(status_text(snapshots, alone=len(names) == 1))
        print_idle(snapshots)
    return wrong or (FAILED if any(map(failing, snapshots)) else OK)


def _goes_on(snapshot: Snapshot) -> str:
    """What runs while the settings files have errors; empty if nothing does."""
    if snapshot.settings_from is None:
        return ""
    return f"{snapshot.citizen} goes on with the settings of {moment(snapshot.settings_from, time())}"


def status_text(snapshots: Iterable[Snapshot], alone: bool) -> str:
    now = SystemClock.now()
    blocks = [lines(one, now, "" if alone else one.citizen) for one in snapshots]
    return "\n\n".join("\n".join(block) for block in blocks) or NO_CITIZENS
