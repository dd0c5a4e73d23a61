"""`experience-tui check`: every mistake in the settings, all at once."""

import json
from pathlib import Path
from typing import Any

import click

from scheduler.cli.exit_codes import OK, WRONG
from scheduler.cli.options import as_document, config_file, some_citizens
from scheduler.cli.standard_error import print_errors
from scheduler.config.loader import CitizenSettings, load
from scheduler.core.task import NotSetUp
from scheduler.core.wording.text import clean, plural


@click.command("check", epilog="Example: experience-tui check --config /etc/experience/experience.toml")
@some_citizens
@config_file
@as_document
def check_command(names: tuple[str, ...], config: Path | None, as_json: bool) -> int:
    """Report every mistake in the settings, all at once.

    With names: only those of these citizens.
    """
    settings = load(config=config, only=names)
    chosen = settings.chosen(names)
    of_citizens = [line for each in chosen for line in (*each.problems, *each.refused)]
    problems = dict.fromkeys((*settings.problems, *settings.monitor.problems, *of_citizens))
    if as_json:
        click.echo(
            json.dumps(
                {"problems": list(problems), "citizens": [_checked(each) for each in chosen]}, indent=2
            )
        )
        return WRONG if problems else OK
    if problems:
        return print_errors(*problems)
    for citizen in chosen:
        works = ((task.name, task.work) for task in citizen.tasks)
        waiting = [f"{name} ({work.setting})" for name, work in works if isinstance(work, NotSetUp)]
        rest = f"; these need settings: {', '.join(waiting)}" if waiting else ""
        click.echo(clean(f"{citizen.name}: {plural(len(citizen.tasks), 'task')}{rest}"))
    click.echo("the settings are ok")
    return OK


def _checked(citizen: CitizenSettings) -> dict[str, Any]:
    return {
        "citizen": citizen.name,
        "tasks": [task.name for task in citizen.tasks],
        "not_set_up": [task.name for task in citizen.tasks if not task.set_up],
        "problems": [*citizen.problems, *citizen.refused],
    }
