"""When a provider is away, who may try it again and who waits: pure decisions.

All times are Unix seconds. A provider without an outage is there.
"""

from collections.abc import Callable
from dataclasses import replace

from scheduler.core.values import value
from scheduler.process.process_info import Running

FIRST, LONGEST = 60.0, 1800.0  # seconds: the first pause where no moment is named, and the longest
DOUBLED = 10  # times at most: after that it is the longest anyway, and in weeks the number had no end
DAY = 86400.0
STALE = 900.0  # seconds: a clock time that passed so recently is not tomorrow's
FARTHEST = 35 * DAY  # seconds: a month's allowance is back by then; a date gone by would be a year ahead
PROBE = 600.0  # seconds: a provider that has not refused a probe for so long is back
KINDS = {"usage_limit": "usage limit", "rate_limit": "rate limit"}


@value
class Probe:
    """The one run that tries the provider while the others wait."""

    run: str
    citizen: str
    process: Running  # its owner: without that, no process would say how it went


@value
class Outage:
    """The provider refuses: no run calls it before `until`, and then one alone."""

    provider: str
    since: float
    until: float
    kind: str = ""
    told_by: str = ""  # a citizen
    named: bool = False  # the provider named the moment
    pauses: int = 1  # so far
    probe: Probe | None = None

    @property
    def reason(self) -> str:
        return KINDS.get(self.kind, self.kind)


@value
class Refused:
    """A run was refused: why, and when the provider says it is back (None: it does not say)."""

    run: Probe
    kind: str
    moment: float | None = None


def refused(before: Outage | None, provider: str, by: Refused, now: float) -> Outage:
    """The outage from now on.

    Runs that were under way when it began, and are refused one after the other, are one refusal.
    """
    moment = _believed_moment(by.moment, now)
    if before is None or is_probe(before, by.run.run):
        pauses = before.pauses + 1 if before else 1
        until = now + min(FIRST * 2 ** min(pauses - 1, DOUBLED), LONGEST) if moment is None else moment
        since = before.since if before else now
        return Outage(provider, since, until, by.kind, by.run.citizen, moment is not None, pauses)
    if moment is not None and (not before.named or moment > before.until):
        return replace(before, until=moment, kind=by.kind, told_by=by.run.citizen, named=True)
    return before


def _believed_moment(moment: float | None, now: float) -> float | None:
    """The moment that a service named, unless its text is stale.

    Reset texts may be hours old (anthropics/claude-code#11429): read literally, "3pm" a minute past it is
    almost a day ahead, and yesterday's date a year. Some services say a day each time.
    """
    if moment is None:
        return None
    ahead = moment - now
    return None if DAY - STALE < ahead <= DAY or ahead > FARTHEST else moment


def is_probe(outage: Outage, run: str) -> bool:
    """Whether this run is the one that tries the provider."""
    return outage.probe is not None and outage.probe.run == run


def probed(outage: Outage, run: Probe, now: float) -> Outage:
    """This run tries it from now on; the others wait."""
    return replace(outage, probe=replace(run, process=replace(run.process, since=now)))


def released(outage: Outage, run: str) -> Outage:
    """The run that tried it did not find out: the next one tries."""
    return replace(outage, probe=None) if is_probe(outage, run) else outage


def retried(outage: Outage, now: float) -> Outage:
    """A person says that it may be back: the next run tries it."""
    return replace(outage, until=min(outage.until, now))


def believed(outage: Outage, now: float, alive: Callable[[Running], bool]) -> Outage | None:
    """Without a probe that died, and without moments of a clock that was ahead; None if it is over."""
    if (probe := outage.probe) is not None:
        if not alive(probe.process):
            outage = released(outage, probe.run)
        elif now - probe.process.since >= PROBE:
            return None
    if outage.since > now:  # the clock was set back: how long it takes from here is unknown
        outage = replace(outage, since=now, until=min(outage.until, now))
    return outage


def may_try(outage: Outage, now: float) -> bool:
    """Whether a run may be the probe now."""
    return outage.probe is None and outage.until <= now
