"""`experience-tui engine`: the database that machines share, and which citizens are in it."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scheduler.cli.completion import citizens
from scheduler.cli.options import as_document, config_file
from scheduler.cli.printing import width
from scheduler.config.loader import load_or_raise
from scheduler.config.settings import CitizenSettings, EngineSettings, Settings
from scheduler.errors import SchedulerError

if TYPE_CHECKING:
    from scheduler.cluster.database import Database

T = TypeVar("T")

NOT_SET = 'no database is set; add [engine] with url = "${EXPERIENCE_ENGINE}" to '
WIDEST = 200  # columns without a terminal


@click.group(
    "engine",
    short_help="Share citizens between machines through PostgreSQL.",
    epilog="Example: experience-tui engine setup",
)
def engine_command() -> None:
    """Share citizens between machines through PostgreSQL.

    See docs/many-machines.md.
    """


@engine_command.command(
    "setup",
    short_help="Create the tables in the database of [engine].",
    epilog="Example: experience-tui engine setup",
)
@config_file
def setup_command(config: Path | None) -> int:
    """Create the tables in the database of [engine]. Tables that exist are kept."""
    from scheduler.cluster.database import install

    async def work(database: "Database") -> str:
        made = await install(database)
        return f"{database.name}: {'the tables are made' if made else 'the tables are there already'}"

    click.echo(_with_database(config, work))
    return 0


@engine_command.command(
    "join", short_help="Put citizens into the database.", epilog="Example: experience-tui engine join opus"
)
@click.argument("names", nargs=-1, required=True, shell_complete=citizens)
@config_file
def join_command(names: tuple[str, ...], config: Path | None) -> int:
    """Share citizens: put their states and history into the database. Stop them first."""
    from scheduler.cluster.health import problems
    from scheduler.cluster.membership import clock_skew, join
    from scheduler.cluster.presence import MOST_AHEAD, skew_words

    engine, wanted = _citizens(names, config)

    async def work(database: "Database") -> None:
        for citizen in wanted:
            await join(database, citizen.name, citizen.home, engine.machine, time.time())
            click.echo(f"{citizen.name} is shared through {database.name}")
        for line in await problems(database):
            click.echo(line, err=True)
        if abs(skew := await clock_skew(database, time.time())) > MOST_AHEAD:
            click.echo(skew_words(skew), err=True)

    _with_database(config, work)
    click.echo("start them with: experience-tui --no-ui", err=True)
    return 0


@engine_command.command(
    "leave",
    short_help="Give citizens back to this machine alone.",
    epilog="Example: experience-tui engine leave opus",
)
@click.argument("names", nargs=-1, required=True, shell_complete=citizens)
@config_file
def leave_command(names: tuple[str, ...], config: Path | None) -> int:
    """Give citizens back to this machine alone, with their states and history. Stop them first."""
    from scheduler.cluster.membership import leave

    _, wanted = _citizens(names, config)

    async def work(database: "Database") -> None:
        for citizen in wanted:
            await leave(database, citizen.name, citizen.home, time.time())
            click.echo(f"{citizen.name} runs by its own home again: {citizen.home}")

    _with_database(config, work)
    return 0


@engine_command.command(
    "move",
    short_help="Let another machine run a citizen.",
    epilog="Example: experience-tui engine move opus m2",
)
@click.argument("name", shell_complete=citizens)
@click.argument("machine")
@config_file
def move_command(name: str, machine: str, config: Path | None) -> int:
    """Move a citizen to another machine. Its current runs get their grace to end."""
    from scheduler.cluster.membership import move

    async def work(database: "Database") -> str:
        before = await move(database, name, machine)
        return f"{name}: {before} lets go of it for {machine}" if before else f"{name}: waits for {machine}"

    click.echo(_with_database(config, work))
    return 0


@engine_command.command(
    "status",
    short_help="Show which machine runs which citizen.",
    epilog="Example: experience-tui engine status --json",
)
@as_document
@config_file
def status_command(as_json: bool, config: Path | None) -> int:
    """Show which machine runs which citizen, what waits for workers, and what is wrong.

    Exit code 1 if a citizen has no owner, or if runs wait for a queue without a worker.
    """
    from scheduler.cli.setup.engine_status import as_text, document
    from scheduler.runtime.engine_report import look, wrong

    seen = look(*_settings(config))
    if as_json:
        import json

        click.echo(json.dumps(document(seen), indent=2))
    else:
        click.echo("\n".join(as_text(seen, width(WIDEST))))
        for line in wrong(seen):
            click.echo(line, err=True)
    return int(any(each.left <= 0 for each in seen.citizens) or any(each.stuck for each in seen.queues))


def _settings(config: Path | None) -> tuple[Settings, EngineSettings]:
    settings = load_or_raise(config=config)
    if settings.engine is None:
        raise SchedulerError(NOT_SET + settings.file)
    return settings, settings.engine


def _citizens(names: tuple[str, ...], config: Path | None) -> tuple[EngineSettings, list[CitizenSettings]]:
    settings, engine = _settings(config)
    return engine, [settings.named(name) for name in names]


def _with_database(config: Path | None, work: "Callable[[Database], Coroutine[Any, Any, T]]") -> T:
    from scheduler.cluster.database import Database

    _, engine = _settings(config)

    async def run() -> T:
        database = Database(engine.url)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
