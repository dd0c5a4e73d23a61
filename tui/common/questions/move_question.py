"""The question which machine a citizen moves to, and what that stops."""

from collections.abc import Iterator

from scheduler.core.machines import Host
from scheduler.core.views import Snapshot
from tui.common.questions.question import STAY, Choice, Words
from tui.common.text import elapsed, plural

MOST = 9  # machines to choose from: a digit each


def move_facts(host: Host, snapshot: Snapshot | None, now: float) -> Iterator[Words]:
    """Where the citizen runs now, and what is stopped for the move."""
    yield f"It runs on {host.machine}; these machines have its home, too.", "$ink"
    running = [task for task in snapshot.tasks if task.running_since is not None] if snapshot else []
    if running:
        yield "", "$ink"
        yield f"{plural(len(running), 'run')} under way: the grace of a shutdown, then interrupted", "$ink"
    for task in running:
        yield f"  {task.name}   {elapsed(now - (task.running_since or now))}", "$run"


def machines(host: Host) -> list[Choice]:
    """The machines that the citizen may move to."""
    return [Choice(str(number), name) for number, name in enumerate(host.others[:MOST], 1)]


def move_choices(host: Host) -> list[Choice]:
    return [*machines(host), Choice(STAY, f"leave it on {host.machine}")]
