"""What happens to a monitor's citizens when it closes, and the lines that report it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from subprocess import Popen

from scheduler.core.ports import FleetOptions, HandedOver
from scheduler.core.wording.text import clean, first_few
from scheduler.errors import PROGRAM
from scheduler.runtime.loop_process import loop_command, spawn

_names = partial(first_few, most=10, joint=", ")


def successor(options: FleetOptions, pid: int) -> "Callable[[Sequence[str], Path], Popen[bytes]]":
    """The function that starts the loop that takes over from `pid`; its log is in a citizen's home."""
    flags = ["--successor-of", str(pid)]
    flags += ["--config", str(options.config.resolve())] if options.config else []
    flags += ["--interval", f"{options.interval:g}"] if options.interval else []
    flags += ["--own-as-root"] if options.own_as_root else []

    def start(names: Sequence[str], home: Path) -> "Popen[bytes]":
        return spawn(home, loop_command(names, flags))

    return start


def closing_lines(
    owned: Sequence[str],
    owners: Mapping[str, str],
    done: HandedOver = HandedOver(),  # noqa: B008  # frozen
) -> Iterator[str]:
    """The lines about what runs after the monitor and what does not; `owned` is the citizens that it ran."""
    if passed := done.passed:
        on = f"{_names(passed)} {_goes(passed)} on in the background (pid {done.pid})"
        yield f"{on}; {PROGRAM} down stops {_them(passed)}"
    for name, reason in done.kept.items():
        yield clean(f"{name} was not handed over: {reason}")
    if stopped := [name for name in owned if name not in passed]:
        yield f"stopped: {_names(stopped)}; {PROGRAM} up runs {_them(stopped)} again"
    others = {name: owner for name, owner in owners.items() if owner and name not in owned}
    for owner in dict.fromkeys(others.values()):
        names = [name for name in others if others[name] == owner]
        yield f"{_names(names)} {_goes(names)} on ({owner})"


def _goes(names: Sequence[str]) -> str:
    return "goes" if len(names) == 1 else "go"


def _them(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"
