"""Shell completion of citizens and their tasks."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scheduler.errors import SchedulerError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from scheduler.config.loader import CitizenSettings

SHELLS = ("bash", "zsh", "fish")


def citizens(context: click.Context, option: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """The citizens that are not given yet; each one is a word of its own."""
    given = context.params.get(option.name or "") or ()
    return _items(incomplete, {each.name: "" for each in _known(context) if each.name not in given})


def tasks_of_citizens(
    context: click.Context, option: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Citizens first, as a comma-separated list, then tasks that one of them has."""
    words: tuple[str, ...] = context.params.get(option.name or "") or ()
    known = _known(context)
    if context.params.get("every"):
        return _tasks(incomplete, known, words)
    if words:
        return _tasks(incomplete, [each for each in known if each.name in words[0].split(",")], words[1:])
    before, comma, _ = incomplete.rpartition(",")
    names = [each.name for each in known if each.name not in before.split(",")]
    return _items(incomplete, {f"{before}{comma}{name}": "" for name in names})


def tasks_of_citizen(
    context: click.Context, option: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """The tasks of the citizen named before."""
    citizen = context.params.get("citizen")
    return _tasks(incomplete, [each for each in _known(context) if each.name == citizen], ())


def _tasks(
    incomplete: str, known: Iterable["CitizenSettings"], given: tuple[str, ...]
) -> "list[CompletionItem]":
    tasks = {task.name: task.description for each in known for task in each.tasks if task.name not in given}
    return _items(incomplete, dict(sorted(tasks.items())))


def _items(incomplete: str, words: dict[str, str]) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(word, help=help or None) for word, help in words.items() if word.startswith(incomplete)
    ]


def _known(context: click.Context) -> tuple["CitizenSettings", ...]:
    """All citizens; empty if the settings cannot be read."""
    from scheduler.config.loader import load

    config = context.params.get("config")
    with suppress(SchedulerError, OSError):
        return load(config=Path(config) if config else None).citizens
    return ()


@click.command(
    "completion",
    short_help="Print the code that lets a shell complete names and options.",
    epilog='Example: eval "$(experience-tui completion bash)"',
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(shell: str) -> int:
    """Print the code that lets a shell complete citizens, tasks and options.

    For bash and zsh, evaluate it in ~/.bashrc or ~/.zshrc; for fish, write it to
    ~/.config/fish/completions/experience-tui.fish.
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind
    root = click.get_current_context().find_root()
    click.echo(kind(root.command, {}, "experience-tui", "_EXPERIENCE_TUI_COMPLETE").source())
    return 0
