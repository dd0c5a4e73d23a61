"""`experience-tui doctor`: where everything is, and what is wrong with it."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scheduler.cli.exit_codes import FAILED, OK
from scheduler.cli.options import as_document, config_file
from scheduler.cli.standard_error import print_to_stderr
from scheduler.core.wording.spans import date_and_time
from scheduler.core.wording.text import clean, plural, size

if TYPE_CHECKING:
    from scheduler.runtime.diagnosis import CitizenFacts, Diagnosis


@click.command(
    "doctor",
    short_help="Say where everything is, who runs what, and what is wrong.",
    epilog="Example: experience-tui doctor --json > report.json",
)
@click.option(
    "--alive", is_flag=True, help="Only check that every citizen has a live owner; for health checks."
)
@as_document
@config_file
def doctor_command(alive: bool, as_json: bool, config: Path | None) -> int:
    """Print where everything is, who runs what, how large it is, and what is wrong, with the fix.

    It only reads. The output holds no secrets, so it can go into a report. Exit code 1 if anything is wrong.
    """
    from scheduler.runtime.diagnosis import diagnose, unattended

    if alive:
        lines = unattended(config)
        print_to_stderr(lines)
        return FAILED if lines else OK
    found = diagnose(config)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2))
    else:
        click.echo("\n".join(map(clean, _lines(found))))
    return FAILED if found.wrong else OK


def _lines(found: "Diagnosis") -> Iterator[str]:
    yield f"Experience {found.version} in {found.program}"
    yield f"Python {found.python}, {found.system}"
    yield f"settings  {found.settings}{'' if found.settings_exist else ' (not there: defaults)'}"
    free = f", {size(found.free_bytes)} free" if found.free_bytes is not None else ""
    yield f"root      {found.root}{free}"
    if found.engine:
        yield f"engine    {found.engine}"
    if found.environment:
        yield f"set       {', '.join(found.environment)}"
    yield ""
    for each in found.citizens:
        yield from _about(each)
    if found.citizens:
        yield ""
    if not found.wrong:
        yield "nothing is wrong"
        return
    number = len(found.wrong)
    yield f"{number} {'thing is' if number == 1 else 'things are'} wrong:"
    yield from (f"  {line}" for line in found.wrong)


def _about(one: "CitizenFacts") -> Iterator[str]:
    since = date_and_time(one.since or 0.0)
    owner = f"{one.role or 'process'} {one.owner} since {since}" if one.owner else "no process runs it"
    service = f", {one.service}.service" if one.service else ""
    yield f"{one.citizen}: {plural(one.tasks, 'task')}, {owner}{service}"
    own = "its own settings" if one.settings else "no settings of its own"
    yield f"  {one.home}: {own}, history {size(one.history_bytes)}, logs {size(one.log_bytes)}"
