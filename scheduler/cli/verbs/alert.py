"""`experience-tui alert --test`: sends a test alert, to know that alerts arrive."""

from pathlib import Path

import click

from scheduler.cli.exit_codes import FAILED, OK
from scheduler.cli.options import config_file, some_citizens
from scheduler.cli.standard_error import print_errors
from scheduler.config.loader import load
from scheduler.config.settings import CitizenSettings
from scheduler.core.wording.text import clean
from scheduler.errors import SchedulerError
from scheduler.system.foreign_home import is_ours

NONE = "alerts are not set up: [alerts] in the settings does that; see docs/alerts.md"


@click.command(
    "alert",
    short_help="Send a test alert, and print what each target answered.",
    help="Send a test alert to every target of these citizens (default: all), and print what each answered.",
    epilog="Example: experience-tui alert opus --test",
)
@some_citizens
@click.option("--test", is_flag=True, required=True, help="Send a test: no other alert can be sent by hand.")
@config_file
def alert_command(names: tuple[str, ...], test: bool, config: Path | None) -> int:
    chosen = load(config=config, only=names).valid().chosen(names)
    alerted = [citizen for citizen in chosen if citizen.alerts or citizen.problems]
    if not alerted:
        raise SchedulerError(NONE)
    return max(map(_test, alerted))


def _test(citizen: CitizenSettings) -> int:
    """Send it to the targets of this citizen; return the exit code."""
    import asyncio

    if citizen.problems:
        return print_errors(*citizen.problems)
    if not is_ours(citizen.home):  # its settings decide what runs here, and who gets secrets
        return print_errors(f"{citizen.name} is another user's: {citizen.home}; ask as that user")
    return OK if asyncio.run(_delivered(citizen)) else FAILED


async def _delivered(citizen: CitizenSettings) -> bool:
    """Send a test to every target and print a line for each; whether all of them took it."""
    from scheduler.alerts.alerter import message
    from scheduler.alerts.targets import Targets

    assert citizen.alerts
    targets = Targets()
    try:
        text = f"{citizen.name}: a test; alerts of this citizen arrive here"
        answers = await targets.alert(citizen.alerts, message("test", citizen.name, "", text), citizen.home)
    finally:
        await targets.close()
    for target, why in answers.items():
        click.echo(f"{citizen.name}: {target}: " + (f"not delivered: {clean(why)}" if why else "delivered"))
    return not any(answers.values())
