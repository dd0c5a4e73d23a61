"""What a run came to, and what its worker tells the engine meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from scheduler.core.task import Outcome
from scheduler.executors.output import Output
from scheduler.system.process_info import Running


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to; `text` is the sentence for its row, for a failure the reason."""

    outcome: Outcome
    text: str = ""
    urgent: bool = False
    traceback: str = ""


class RunListener(Protocol):
    """The engine's view of one run, told by the worker."""

    @property
    def output(self) -> Output:
        """Where everything that the run writes goes."""
        ...

    async def carried_by(self, running: Running) -> None:
        """A child process waits at its gate; it goes on once this returns: written to the state file."""
        ...

    def left_behind(self, what: str, alive: Callable[[], bool]) -> None:
        """Something could not be stopped and may still run, for as long as `alive` says so."""
        ...
