"""Decides how long a provider is away, which run may try it again and which wait: pure functions.

All times are Unix seconds. A provider without an outage is available.
"""

from collections.abc import Callable
from dataclasses import replace

from scheduler.core.values import value
from scheduler.process.process_info import Running

FIRST, LONGEST = 60.0, 1800.0  # seconds: the first pause if the provider names no moment, and the longest
DOUBLED = 10  # times at most: the pause has long reached LONGEST, and in weeks the number would grow huge
DAY = 86400.0
STALE = 900.0  # seconds: a clock time that passed this recently does not mean tomorrow
FARTHEST = 35 * DAY  # seconds: monthly allowances are back by then; a past date would be read as next year's
PROBE = 600.0  # seconds: a provider that has not refused a probe for this long is back
KINDS = {"usage_limit": "usage limit", "rate_limit": "rate limit"}


@value
class Probe:
    """The one run that tries the provider while the others wait."""

    run: str
    citizen: str
    process: Running  # its owner, the only one to report how it went


@value
class Outage:
    """The provider refuses: no run calls it before `until`, and then a single one does."""

    provider: str
    since: float
    until: float
    kind: str = ""
    told_by: str = ""  # the citizen whose run was refused
    named: bool = False  # the provider named the moment
    pauses: int = 1  # the number so far
    probe: Probe | None = None

    @property
    def reason(self) -> str:
        return KINDS.get(self.kind, self.kind)


@value
class Refused:
    """The refusal of a run: why, and when the provider says it is back (None if it does not say)."""

    run: Probe
    kind: str
    moment: float | None = None


def refused(before: Outage | None, provider: str, by: Refused, now: float) -> Outage:
    """The outage after this refusal.

    Later refusals of runs that were under way when it began count as the same refusal.
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
    """The moment that a service named, None if it is not plausible.

    Reset texts may be hours old (anthropics/claude-code#11429): read literally at 3:01pm, "3pm" is almost a
    day ahead, and yesterday's date almost a year. Some services name a moment a day ahead each time.
    """
    if moment is None:
        return None
    ahead = moment - now
    return None if DAY - STALE < ahead <= DAY or ahead > FARTHEST else moment


def is_probe(outage: Outage, run: str) -> bool:
    """Whether this run is the one that tries the provider."""
    return outage.probe is not None and outage.probe.run == run


def probed(outage: Outage, run: Probe, now: float) -> Outage:
    """The outage with this run as the one that tries the provider, while the others wait."""
    return replace(outage, probe=replace(run, process=replace(run.process, since=now)))


def released(outage: Outage, run: str) -> Outage:
    """The outage without this probe, which ended without an answer: the next run tries."""
    return replace(outage, probe=None) if is_probe(outage, run) else outage


def retried(outage: Outage, now: float) -> Outage:
    """The outage after a person asked for a retry: the next run tries the provider."""
    return replace(outage, until=min(outage.until, now))


def believed(outage: Outage | None, now: float, alive: Callable[[Running], bool]) -> Outage | None:
    """The outage without a dead probe and without moments of a clock that was ahead; None if it is over."""
    if outage is None:
        return None
    if (probe := outage.probe) is not None:
        if not alive(probe.process):
            outage = released(outage, probe.run)
        elif now - probe.process.since >= PROBE:
            return None
    if outage.since > now:  # the clock was set back, so the time left is unknown
        outage = replace(outage, since=now, until=min(outage.until, now))
    return outage


def may_try(outage: Outage, now: float) -> bool:
    """Whether a run may be the probe now."""
    return outage.probe is None and outage.until <= now


def moved(outage: Outage, seconds: float) -> Outage:
    """The outage with all of its moments so many seconds later, as by another clock."""
    probe = outage.probe
    if probe is not None:
        probe = replace(probe, process=replace(probe.process, since=probe.process.since + seconds))
    return replace(outage, since=outage.since + seconds, until=outage.until + seconds, probe=probe)
