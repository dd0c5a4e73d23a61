"""`experience-tui providers`: which services are away, until when, and one run that tries one now."""

import json
from pathlib import Path
from typing import Any

import click

from scheduler.cli.options import as_document, config_file
from scheduler.cli.printing import table
from scheduler.config.loader import load
from scheduler.core.schedules.schedule import iso
from scheduler.core.wording.spans import moment
from scheduler.core.wording.text import clean
from scheduler.errors import SchedulerError
from scheduler.providers.outage import Outage
from scheduler.providers.outages import Outages
from scheduler.system.clock import SystemClock

TITLES = ("provider", "away since", "until", "why", "told to", "tried by")


@click.command("providers", epilog="Example: experience-tui providers anthropic --retry")
@click.argument("provider", required=False)
@click.option(
    "--retry", is_flag=True, help="Let one run try this provider now; the others follow if it succeeds."
)
@as_document
@config_file
def providers_command(provider: str | None, retry: bool, as_json: bool, config: Path | None) -> int:
    """Show which providers are away, and until when.

    All citizens that name a provider wait for it together.
    """
    from scheduler.control.coordinator import coordinator_of_a_command

    outages = coordinator_of_a_command(settings := load(config=config)).outages(settings.root)
    outages.refresh()
    if retry:
        return _retry(outages, provider)
    away = [each for each in outages.all() if provider in (None, each.provider)]
    if as_json:
        click.echo(json.dumps([_document(each) for each in away], indent=2))
    else:
        rows = [TITLES, *(_row(each, SystemClock.now()) for each in away)]
        click.echo("\n".join(table(rows, 200)) if away else "no provider is away")
    return 0


def _retry(outages: Outages, provider: str | None) -> int:
    if provider is None:
        raise click.UsageError("--retry needs the name of a provider")
    try:
        found = outages.retry(provider)
    except OSError as error:
        raise SchedulerError(f"{provider}: {error.strerror or error}; nothing was changed") from error
    if found is None:
        click.echo(f"{provider} is not away")
    elif found.probe:
        click.echo(f"{provider}: {clean(found.probe.citizen)} tries it now")
    else:
        click.echo(f"{provider}: the next run that is due tries it, within a minute")
    return 0


def _row(outage: Outage, now: float) -> tuple[str, ...]:
    tried = clean(outage.probe.citizen) if outage.probe else ""
    times = (moment(outage.since, now), moment(outage.until, now))
    return (clean(outage.provider), *times, clean(outage.reason), clean(outage.told_by), tried)


def _document(outage: Outage) -> dict[str, Any]:
    return {
        "provider": outage.provider,
        "since": iso(outage.since, "seconds"),
        "until": iso(outage.until, "seconds"),
        "reason": outage.kind,
        "named": outage.named,
        "told_by": outage.told_by,
        "tried_by": outage.probe.citizen if outage.probe else None,
    }
