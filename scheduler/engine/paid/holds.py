"""Why a due run does not start: the text, and when to check again."""

import zlib

from scheduler.core.views import Hold, HoldKind
from scheduler.core.wording.spans import moment
from scheduler.errors import PROGRAM, SchedulerError
from scheduler.providers.outage import Outage
from scheduler.spending.budget import OverBudget

BUDGET_CHECK = 15.0  # seconds between two checks whether the budget was lifted
PROBE_CHECK = 15.0  # seconds between two checks whether a probe has ended, at most doubled by `away`
AWAY_CHECK = 45.0  # seconds between two checks whether a person wants the provider tried early
AT_LEAST = 0.5  # seconds


class Held(SchedulerError):
    """A requested run may not start; the text says what a person can do."""

    code = "held"

    def __init__(self, who: str, hold: Hold) -> None:
        match hold.kind:
            case HoldKind.BUDGET if hold.until is not None:
                whose = "--all" if hold.about.startswith("all") else who.partition("/")[0]
                text = f"is {hold.why}; lift it with: {PROGRAM} budget {whose} --add 2 --today"
            case HoldKind.PROVIDER:
                text = f"{hold.why}; have it tried now with: {PROGRAM} providers {hold.about} --retry"
            case _:
                text = f"waits: {hold.why}"
        super().__init__(f"{who} {text}")


CheckedHold = tuple[Hold, float]  # with the seconds until the next check


def over_budget(limit: OverBudget) -> CheckedHold:
    ends = "all" if limit.together else "own"
    about = f"{ends} {limit.until.isoformat()}"
    return Hold(HoldKind.BUDGET, str(limit), limit.until.timestamp(), about), BUDGET_CHECK


def uncounted(error: OSError) -> CheckedHold:
    """The hold while the ledger cannot be read or written."""
    text = f"its cost cannot be noted ({error.strerror or error})"
    return Hold(HoldKind.BUDGET, text, None, "uncounted"), BUDGET_CHECK


def away(outage: Outage, who: str, now: float) -> CheckedHold:
    """The hold while a provider is away; `who` names the waiting run and spreads the checks over time."""
    spread = zlib.crc32(who.encode()) % 1000 / 1000 * PROBE_CHECK
    if outage.probe is not None:
        text = f"waits for {outage.provider}, which {outage.probe.citizen} tries now"
        return Hold(HoldKind.PROVIDER, text, None, outage.provider), PROBE_CHECK + spread
    reason = f" ({outage.reason})" if outage.reason else ""
    text = f"waits for {outage.provider} until {moment(outage.until, now)}{reason}"
    left = max(AT_LEAST, outage.until - now)
    return Hold(HoldKind.PROVIDER, text, outage.until, outage.provider), min(left, AWAY_CHECK + spread)
