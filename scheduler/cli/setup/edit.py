"""`experience-tui add`, `remove`, `enable`, `disable` and `undo`: change a citizen's settings file."""

import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.completion import citizens
from scheduler.cli.options import as_document, config_file, one_task_argument
from scheduler.config.loader import load
from scheduler.core.wording.text import clean
from scheduler.editing.command_line import command_of
from scheduler.editing.journal import Written, newest
from scheduler.errors import PROGRAM, SchedulerError

if TYPE_CHECKING:
    from scheduler.editing.plans import PlannedEdit, SettingsFiles


@click.command(
    "add",
    short_help="Add a task to a citizen's settings file.",
    epilog='Example: experience-tui add opus report --cron "0 9 * * 1-5" -- python3 report.py',
)
@click.argument("citizen", shell_complete=citizens)
@click.argument("task")
@click.argument("command", nargs=-1, metavar="[-- COMMAND ARGUMENT...]")
@click.option("--every", metavar="SPAN", help="Its interval: 30s, 5m, 2h, 1d.")
@click.option("--cron", metavar="EXPR", help="When it runs, as a cron expression.")
@click.option("--timezone", metavar="ZONE", help="The time zone of --cron; by default the citizen's.")
@click.option("--timeout", metavar="SPAN", help="How long a run may take; by default 5m.")
@click.option("--retries", type=click.IntRange(0, 100), help="How often a failed run is retried.")
@click.option("--description", metavar="TEXT", help="A few words for the screen.")
@click.option(
    "--set", "more", multiple=True, metavar="KEY=VALUE", help="Any other key; VALUE as TOML, or plain text."
)
@click.option("--dry-run", is_flag=True, help="Only print what would be written.")
@as_document
@config_file
def add_command(
    citizen: str,
    task: str,
    command: tuple[str, ...],
    more: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    config: Path | None,
    **keys: Any,
) -> int:
    """Add a task to a citizen's own settings file. Comments and order in it are kept.

    A COMMAND in one pair of quotes is split as a shell would, or run by a shell if it needs one. Without
    COMMAND, the task runs scripts/TASK.py, or is a built-in task.
    """
    from scheduler.editing.plans import add_task, settings_files

    table = {name: value for name, value in keys.items() if value is not None}
    table |= {"command": _argv(command)} if command else {}
    edit = add_task(settings_files(citizen, config), task, table | dict(map(_pair, more)))
    for warning in edit.warnings:
        click.echo(clean(f"experience: warning: {warning}"), err=True)
    if not as_json:
        click.echo("\n".join(map(clean, edit.lines.splitlines())))
    return _print_planned(edit) if dry_run else _apply(edit, as_json)


@click.command("remove", epilog="Example: experience-tui remove opus report")
@one_task_argument
@as_document
@config_file
def remove_command(citizen: str, task: str, as_json: bool, config: Path | None) -> int:
    """Remove a task from the settings; its history stays."""
    from scheduler.editing.plans import remove_task

    return _change(remove_task, citizen, task, as_json, config)


@click.command("enable", epilog="Example: experience-tui enable opus heartbeat")
@one_task_argument
@as_document
@config_file
def enable_command(citizen: str, task: str, as_json: bool, config: Path | None) -> int:
    """Schedule a disabled task again, by its settings file."""
    from scheduler.editing.plans import set_enabled

    return _change(lambda files, name: set_enabled(files, name, True), citizen, task, as_json, config)


@click.command(
    "disable",
    short_help="Stop scheduling a task, by its settings file.",
    epilog="Example: experience-tui disable opus dream_generate",
)
@one_task_argument
@as_document
@config_file
def disable_command(citizen: str, task: str, as_json: bool, config: Path | None) -> int:
    """Stop scheduling a task, by its settings file. `pause` does it without changing a file."""
    from scheduler.editing.plans import set_enabled

    return _change(lambda files, name: set_enabled(files, name, False), citizen, task, as_json, config)


@click.command(
    "undo",
    short_help="Undo the last change of settings by a command or key.",
    epilog="Example: experience-tui undo opus",
)
@click.argument("citizen", required=False, shell_complete=citizens)
@as_document
@config_file
def undo_command(citizen: str | None, as_json: bool, config: Path | None) -> int:
    """Undo the last change that a command or the monitor made to the settings.

    Without CITIZEN: the newest change of any citizen. A file that was edited since then is left as it is.
    """
    from scheduler.editing.plans import settings_files, undo_last

    name = citizen or _changed_last(config)
    return _print_written(name, "undone: ", undo_last(settings_files(name, config)), as_json)


def _argv(words: Sequence[str]) -> list[str]:
    return list(words) if len(words) > 1 else command_of(words[0])


def _pair(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign:
        raise click.UsageError(f"--set {text}: write KEY=VALUE")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except ValueError:
        return name.strip(), value


def _change(
    change: Callable[["SettingsFiles", str], "PlannedEdit"],
    citizen: str,
    task: str,
    as_json: bool,
    config: Path | None,
) -> int:
    from scheduler.editing.plans import settings_files

    return _apply(change(settings_files(citizen, config), task), as_json)


def _apply(edit: "PlannedEdit", as_json: bool) -> int:
    return _print_written(edit.citizen, "", edit.apply(), as_json)


def _print_written(citizen: str, before: str, done: Written, as_json: bool) -> int:
    if as_json:
        document = {"citizen": citizen, "what": f"{before}{done.what}", "files": list(map(str, done.files))}
        click.echo(json.dumps(document))
        return 0
    where = " and ".join(map(str, done.files))
    click.echo(clean(f"{citizen}: {before}{done.what}, in {where}"))
    if not before and done.noted:
        click.echo(f"to undo: {PROGRAM} undo {citizen}")
    return 0


def _print_planned(edit: "PlannedEdit") -> int:
    where = " and ".join(map(str, edit.files))
    click.echo(clean(f"nothing was written: --dry-run; it would be in {where}"), err=True)
    return 0


def _changed_last(config: Path | None) -> str:
    settings = load(config=config)
    notes = [(note.name, name) for name in settings.known if (note := newest(settings.root / name))]
    if not notes:
        raise SchedulerError("nothing to undo: no command of yours changed the settings of a citizen")
    return max(notes)[1]
