"""`experience-tui freeze` and `thaw`: keep citizens from starting anything, including wakes."""

import json
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.exit_codes import OK
from scheduler.cli.options import as_lines, config_file, some_citizens
from scheduler.cli.verbs.until_options import UntilOptions, until_options
from scheduler.config.loader import load
from scheduler.core.wording.text import clean
from scheduler.schema.json_codec import to_json
from scheduler.system.clock import SystemClock

if TYPE_CHECKING:
    from scheduler.control.freezing import Answer, Freezer

WHICH = "CITIZEN: one name or a comma-separated list; leave it out for all citizens of the root."


@click.command(
    "freeze",
    short_help="Start nothing of these citizens, wakes included.",
    help="Start nothing of these citizens, neither tasks nor wakes, until `thaw` or for a time. This takes"
    f" effect within a second, in every process, and lasts over restarts.\n\n{WHICH}",
    epilog='Example: experience-tui freeze opus --until 08:00 --why "invoices are under review"',
)
@some_citizens
@until_options
@click.option("--stop-runs", is_flag=True, help="Also stop current runs.")
@as_lines
@config_file
def freeze_command(
    names: tuple[str, ...],
    end: str | None,
    length: float | None,
    why: str,
    stop_runs: bool,
    as_json: bool,
    config: Path | None,
) -> int:
    hold, now = UntilOptions(end, length, why), SystemClock.now()

    def frozen(freezer: "Freezer") -> Coroutine[Any, Any, "list[Answer]"]:
        return freezer.freeze(names, lambda zone: hold.until(now, zone), why, stop_runs=stop_runs)

    return _run(names, config, frozen, as_json)


@click.command(
    "thaw",
    help=f"End a freeze: what is due starts again.\n\n{WHICH}",
    epilog="Example: experience-tui thaw opus",
)
@some_citizens
@as_lines
@config_file
def thaw_command(names: tuple[str, ...], as_json: bool, config: Path | None) -> int:
    return _run(names, config, lambda freezer: freezer.thaw(names), as_json)


def _run(
    names: Sequence[str],
    config: Path | None,
    ask: "Callable[[Freezer], Coroutine[Any, Any, list[Answer]]]",
    as_json: bool,
) -> int:
    """Print each answer; return the worst exit code."""
    import asyncio

    from scheduler.control.coordinator import coordinator_of_a_command
    from scheduler.control.freezing import Freezer
    from scheduler.control.machines import owner_on_any_machine

    settings = load(config=config)
    settings.chosen(names)
    citizens = {each.name: each for each in settings.citizens}

    async def answered() -> "list[Answer]":
        at = coordinator_of_a_command(settings)
        try:
            return await ask(
                Freezer(
                    settings.root,
                    citizens,
                    SystemClock.now,
                    lambda citizen: owner_on_any_machine(citizen, at.remote(citizen)),
                    at.copies,
                )
            )
        finally:
            await at.close()

    answers = asyncio.run(answered())
    return max((_print(each, as_json) for each in answers), default=OK)


def _print(answer: "Answer", as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(_document(answer)))
    else:
        for line in [answer.text, *(f"{answer.citizen}/{task}: stopped" for task in answer.stopped)]:
            if line:
                click.echo(clean(line))
        if answer.error:
            click.echo(clean(f"experience: {answer.error}"), err=True)
    return answer.error.exit_code if answer.error else OK


def _document(answer: "Answer") -> dict[str, Any]:
    if answer.error:
        return {"citizen": answer.citizen, "error": str(answer.error), "code": answer.error.code}
    freeze = None if answer.freeze is None else to_json(answer.freeze)
    stopped = list(answer.stopped)
    return {"citizen": answer.citizen, "text": answer.text, "freeze": freeze, "stopped": stopped}
