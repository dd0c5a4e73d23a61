"""Options and arguments that several subcommands share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from scheduler.cli.completion import citizens, tasks_of_citizen, tasks_of_citizens

GRAMMAR = "CITIZEN: one name or a comma-separated list; leave it out with --all."

config_file = click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The settings file."
)
as_lines = click.option("--json", "as_json", is_flag=True, help="For scripts: one JSON object per line.")
as_document = click.option("--json", "as_json", is_flag=True, help="For scripts: JSON.")
as_root = click.option(
    "--own-as-root", "as_root", is_flag=True, help="As root, act on other users' citizens, too."
)
# Given by a closing monitor to the loop that succeeds it, since citizens become free one by one.
successor_of = click.option("--successor-of", type=int, default=0, hidden=True)
every_citizen = click.option("--all", "every", is_flag=True, help="Every citizen.")


def action_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every acting verb has, as run_verb takes them."""
    return as_lines(config_file(as_root(command)))


def seconds(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    """Convert an option's duration to seconds; a click callback."""
    from scheduler.core.schedules.schedule import Every, duration

    return None if text is None else Every(duration(text)).seconds


some_citizens = click.argument(
    "names",
    nargs=-1,
    metavar="[CITIZEN]...",
    shell_complete=citizens,
    callback=lambda context, option, words: names_in(words),
)
runs_argument = click.argument(
    "words", nargs=-1, metavar="[CITIZEN [TASK]]", shell_complete=tasks_of_citizens
)
tasks_argument = click.argument(
    "words", nargs=-1, metavar="CITIZEN TASK...", shell_complete=tasks_of_citizens
)

tasks_or_all = click.argument(
    "words", nargs=-1, metavar="CITIZEN [TASK]...", shell_complete=tasks_of_citizens
)


def one_task_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments `citizen` and `task`: a citizen and one of its tasks."""
    task = click.argument("task", shell_complete=tasks_of_citizen)
    return click.argument("citizen", shell_complete=citizens)(task(command))


def names_in(words: Sequence[str]) -> tuple[str, ...]:
    """The names in these words, each of which may be a comma-separated list; each name once."""
    return tuple(dict.fromkeys(name for word in words for name in word.split(",") if name))


def citizens_and_rest(words: Sequence[str], every: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The citizens in the first word (empty means all), and the other words; raises UsageError."""
    if every:
        return (), tuple(words)
    names = names_in(words[:1])
    if not names:
        raise click.UsageError("which citizen? Name it (several: a,b), or use --all")
    return names, tuple(words[1:])


def citizens_and_tasks(words: Sequence[str], every: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The same, but at least one task is required."""
    names, tasks = citizens_and_rest(words, every)
    if not tasks:
        raise click.UsageError("which task? Name it" + ("" if every else " after the citizen"))
    return names, tasks
