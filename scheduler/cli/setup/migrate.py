"""`experience-tui migrate`: from a crontab to tasks and a wake, in one command, and back in one."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.completion import citizens
from scheduler.cli.options import as_document, config_file
from scheduler.cli.printing import width
from scheduler.config.loader import Settings, load
from scheduler.core.schedules.schedule import local_zone
from scheduler.core.wording.text import clean
from scheduler.errors import PROGRAM, SchedulerError
from scheduler.migration.crontab import Crontab
from scheduler.migration.installed_cron import installed_cron, is_folder, is_user, processes_of
from scheduler.migration.plan import plan
from scheduler.migration.planned import CrontabPlan, MigrationRequest
from scheduler.migration.report import as_json, lines
from scheduler.system.clock import SystemClock

if TYPE_CHECKING:
    from scheduler.migration.settings_writer import Target

WIDEST = 1000  # columns without a terminal, so that a pipe cuts no command


@click.command(
    "migrate",
    short_help="Leave cron: show what each line of a crontab becomes.",
    epilog="Example: experience-tui migrate, then experience-tui migrate --apply",
)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option("--apply", "applying", is_flag=True, help="Move the lines; without it, nothing changes.")
@click.option("--undo", "undoing", is_flag=True, help="Restore what the last --apply changed.")
@click.option("--citizen", metavar="NAME", help="The citizen that gets the tasks.", shell_complete=citizens)
@click.option("--user", metavar="USER", help="Whose lines to move; by default your own.")
@click.option("--system", is_flag=True, help="Read /etc/crontab and /etc/cron.d, too.")
@click.option(
    "--user-column/--no-user-column", "column", default=None, help="Whether the lines of FILE name users."
)
@click.option(
    "--builtin",
    is_flag=True,
    help="Run the built-in handlers instead of v1's scripts, where they are set up.",
)
@click.option("--every", is_flag=True, help="Turn times such as */10 into intervals.")
@as_document
@config_file
def migrate_command(files: tuple[Path, ...], applying: bool, undoing: bool, **asked: Any) -> int:
    """Leave cron: show what each line of a crontab becomes, and move it with --apply.

    Without FILE it reads your own crontab; a folder is read as cron reads /etc/cron.d. Lines that cannot
    be moved stay in the crontab, with a reason.
    """
    if applying and undoing:
        raise click.UsageError("--apply and --undo exclude each other")
    _check_system()
    settings = load(config=asked["config"]).valid()
    if undoing:
        return _undo(settings, asked["citizen"])
    target, wanted, crontabs = _planned(files, settings, asked)
    journal = _apply(target, wanted, crontabs) if applying else None
    if asked["as_json"]:
        moved = journal is not None
        click.echo(json.dumps({**as_json(crontabs, wanted), "applied": moved}, indent=2))
        return 0
    _show(crontabs, wanted)
    for line in _closing(target, crontabs, applying, journal):
        click.echo(line)
    return 0


def _check_system() -> None:
    try:
        import pwd  # noqa: F401  # only whether it is there
    except ImportError as error:
        raise SchedulerError("this system has no cron") from error


def _planned(
    files: Sequence[Path], settings: Settings, asked: dict[str, Any]
) -> tuple["Target", MigrationRequest, tuple[CrontabPlan, ...]]:
    from scheduler.migration.target import (
        choose_citizen,
        current_user,
        existing_tables,
        load_target,
        ready_handlers,
        sources,
        states_of,
    )

    user = asked["user"] or current_user()
    home = _home_of(user)
    found = sources(files, user, asked["system"], asked["column"])
    name = choose_citizen(settings, asked["citizen"], found)
    target = load_target(settings, name, asked["config"])
    zone, known = local_zone(), settings.citizen(name)
    own = known.spending.budget.zone if known else None
    wanted = MigrationRequest(
        citizen=name,
        user=user,
        home=home,
        now=SystemClock.now(),
        zone=zone,
        told_zone="" if own in (None, zone) else str(zone),
        builtin=ready_handlers(target) if asked["builtin"] else frozenset(),
        every=asked["every"],
        states=states_of(target.home),
        taken=existing_tables(target),
        others=frozenset(settings.known) - {name},
        cron=installed_cron(user, home),
        processes=cache(lambda: processes_of(user)),
        is_folder=is_folder,
        is_user=is_user,
    )
    return target, wanted, plan(found, wanted)


def _home_of(user: str) -> str:
    from pwd import getpwnam

    try:
        return getpwnam(user).pw_dir
    except KeyError as error:
        raise SchedulerError(f"unknown user {user}; correct --user") from error


# ------------------------------------------------------------------ applying


def _apply(target: "Target", wanted: MigrationRequest, crontabs: Sequence[CrontabPlan]) -> Path | None:
    """Move the lines and return the journal's folder; None if there is nothing to move."""
    from scheduler.config.citizen import CitizenTable
    from scheduler.migration.journal import Change, File, apply
    from scheduler.migration.settings_writer import crontab_without, settings_with
    from scheduler.migration.target import current_user
    from scheduler.schema.json_schema import write_beside

    moved = [planned for crontab in crontabs for planned in crontab.lines if planned.moves]
    if not moved:
        return None
    _check_owner(target.home, wanted.user)
    before = None if target.text is None else File(target.file).read()
    changes = [Change(File(target.file), before, settings_with(target, moved).encode())]
    for crontab in crontabs:
        source = crontab.source
        what = (
            File(source.path)
            if source.path
            else Crontab("" if wanted.user == current_user() else wanted.user)
        )
        if any(planned.moves for planned in crontab.lines):
            changes.append(Change(what, source.content, crontab_without(crontab, wanted.citizen)))
    journal = apply(target.home, changes)
    if before is None:
        with suppress(OSError):  # only editors need it; the lines have moved anyway
            write_beside(target.file, CitizenTable)
    return journal


def _check_owner(home: Path, user: str) -> None:
    """Refuse another user's lines: a task runs as the owner of its home."""
    from pwd import getpwnam

    owner = home.stat().st_uid if home.exists() else os.getuid()
    if owner != getpwnam(user).pw_uid:
        what = f"{home} does not belong to {user}" if home.exists() else f"{home} would not belong to {user}"
        raise SchedulerError(f"{what}, so these lines would run as another user; name a citizen of {user}")


def _undo(settings: Settings, name: str | None) -> int:
    from scheduler.migration.journal import undo
    from scheduler.migration.target import newest_move

    home = newest_move(settings, name)
    for what in undo(home):
        click.echo(clean(f"restored: {what}"))
    return 0


# ------------------------------------------------------------------ printing


def _show(crontabs: Sequence[CrontabPlan], wanted: MigrationRequest) -> None:
    for crontab in crontabs:
        click.echo("\n".join(lines(crontab, wanted, width(WIDEST))))
        click.echo()


def _closing(
    target: "Target", crontabs: Sequence[CrontabPlan], applying: bool, journal: Path | None
) -> list[str]:
    """What was done, and what to do next."""
    if journal:
        lines = [
            f"moved to {target.file}; copies of what was there before are in {journal}",
            f"now start its loop: {PROGRAM} up {target.name}; to undo: {PROGRAM} migrate --undo",
        ]
        return [clean(line) for line in lines]
    if applying or not any(planned.moves for crontab in crontabs for planned in crontab.lines):
        return ["nothing to move"]
    return [f"nothing has changed; with --apply these lines become tasks of {target.name}"]
