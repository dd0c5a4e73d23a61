"""Whether a provider refused a citizen's run, noted for all who call it."""

from collections.abc import Callable

from scheduler.agents.refusals.find_refusal import Refusal
from scheduler.core.task import Outcome, Task
from scheduler.core.wording.spans import moment
from scheduler.engine.paid.ended import Ended
from scheduler.executors.result import Result
from scheduler.providers.outage import Probe, Refused
from scheduler.providers.outages import Outages
from scheduler.system.clock import Clock


class ProviderAnswers:
    """Notes how providers answered the runs of one citizen, and announces what changed."""

    def __init__(
        self, citizen: str, clock: Clock, outages: Outages, announce: Callable[[str, str, str], None]
    ) -> None:
        self._citizen, self._clock, self._outages = citizen, clock, outages
        self._announce, self._news = announce, list[tuple[str, str, str]]()

    def note(self, task: Task, run: Probe, ended: Ended, refusal: Refusal | None) -> Result | None:
        """The result of a refused run that waits; None if not refused, or if a person must act. Blocks."""
        if refusal is None or not refusal.wait:
            if self._outages.ended(task.provider, run.run, tried=ended.tried):
                self._news.append((task.provider, "back", f"back: {self._citizen}/{task.name} got through"))
            return None
        before = self._outages.of(task.provider)
        outage = self._outages.refused(task.provider, Refused(run, refusal.kind, refusal.retry_at))
        until = moment(outage.until, self._clock.now())
        when = f"until {until}" if outage.named else f"tried again {until}"
        if before is None or outage.until != before.until:
            reason = f" ({outage.reason})" if outage.reason else ""
            rest = "runs that call it wait, then one goes first"
            self._news.append((task.provider, "away", f"away {when}{reason}: {rest}"))
        return Result(Outcome.REFUSED, f"refused by {task.provider}: {outage.reason}, {when}")

    def publish(self) -> None:
        """Announce, on the loop, what a thread has noted."""
        while self._news:
            self._announce(*self._news.pop(0))
