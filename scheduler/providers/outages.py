"""Which providers are away, for all citizens that name them."""

from abc import ABC, abstractmethod
from functools import partial
from typing import TypeVar

from scheduler.process.process_info import Running
from scheduler.providers.decisions import Decision, admission, ending, handover, refusal, retrial
from scheduler.providers.outage import Outage, Probe, Refused, believed, is_probe
from scheduler.system.clock import Clock

T = TypeVar("T")


class Outages(ABC):
    """Reads and changes the outages of providers; every method may block for a moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @abstractmethod
    def refresh(self) -> None:
        """Learn what other machines know; raises SchedulerError."""

    @abstractmethod
    def all(self) -> list[Outage]:
        """The outages of all providers that are away."""

    def of(self, provider: str) -> Outage | None:
        """The outage of this provider, None if it is available."""
        return believed(self._known(provider), self._clock.now(), partial(self._alive, provider))

    def begin(self, provider: str, run: Probe) -> Outage | None:
        """None if the run may begin, perhaps as the probe; else the outage it waits for. Raises OSError."""
        return None if self.of(provider) is None else self._change(provider, admission(run))

    def before_handover(self, provider: str) -> Outage | None:
        """The outage for which a run waits that a worker will begin, asking again then. Raises OSError."""
        return None if self.of(provider) is None else self._change(provider, handover)

    def refused(self, provider: str, by: Refused) -> Outage:
        """Record that the provider refused this run; returns the outage. Raises OSError."""
        return self._change(provider, refusal(provider, by))

    def ended(self, provider: str, run: str, *, tried: bool) -> bool:
        """Record a run that was not refused: a probe that `tried` ends the outage. Raises OSError."""
        found = self._known(provider)
        if found is None or not is_probe(found, run):
            return False
        return self._change(provider, ending(run, tried=tried))

    def retry(self, provider: str) -> Outage | None:
        """Let the next run try the provider, as a person asked; returns the outage. Raises OSError."""
        return None if self.of(provider) is None else self._change(provider, retrial)

    @abstractmethod
    def _known(self, provider: str) -> Outage | None:
        """The outage as it is kept."""

    @abstractmethod
    def _alive(self, provider: str, process: Running) -> bool:
        """Whether the process that runs the provider's probe is alive."""

    @abstractmethod
    def _change(self, provider: str, decide: Decision[T]) -> T:
        """Keep what the decision returns, and return its answer; nothing changes it in between."""
