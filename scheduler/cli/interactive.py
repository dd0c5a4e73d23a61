"""The Python prompt of `--interactive`: v2's three names and `background_stop`, for one citizen."""

import code
import sys
from collections.abc import Callable
from pathlib import Path

from scheduler import background
from scheduler.errors import SchedulerError
from scheduler.process.garbage_collection import collect_as_usual

BANNER = """\
{citizen}: background_status, background_force("news_scan"), background_reset("news_scan"),
background_stop("news_scan")
Ctrl-D quits."""


def interact(citizen: str, config: Path | None, status: Callable[[], str]) -> None:
    """Read and run lines until the input ends."""
    collect_as_usual()
    prompt = _Prompt(_names(citizen, config, status))
    prompt.interact(banner=BANNER.format(citizen=citizen), exitmsg="")


class Status:
    """Gives the same result with and without parentheses: `background_status` and `background_status()`."""

    def __init__(self, status: Callable[[], str]) -> None:
        self._status = status

    def __call__(self) -> None:
        print(self)

    def __repr__(self) -> str:
        return self._status()


def _names(citizen: str, config: Path | None, status: Callable[[], str]) -> dict[str, object]:
    def printed(verb: Callable[..., str]) -> Callable[[str], None]:
        return lambda task: print(verb(task, citizen=citizen, config=config))

    return {
        "background_status": Status(status),
        "background_force": printed(background.background_force),
        "background_reset": printed(background.background_reset),
        "background_stop": printed(background.background_stop),
    }


class _Prompt(code.InteractiveConsole):
    """Python's own prompt; an error that a person can cause takes one line."""

    def showtraceback(self) -> None:
        error = sys.exception()
        if isinstance(error, SchedulerError):
            self.write(f"experience: {error}\n")
        else:
            super().showtraceback()
