"""Why a run that is due does not start: the words, and when to look again."""

import zlib

from scheduler.core.views import Hold, HoldKind
from scheduler.core.wording.spans import moment
from scheduler.errors import PROGRAM, SchedulerError
from scheduler.providers.outage import Outage
from scheduler.spending.budget import OverBudget

BUDGET_LOOK = 15.0  # seconds between two looks whether the budget was lifted
PROBE_LOOK = (
    15.0  # seconds between two looks whether a probe has ended; as much again is spread over citizens
)
AWAY_LOOK = 45.0  # seconds between two looks whether a person wants it tried before its time
AT_LEAST = 0.5  # seconds


class Held(SchedulerError):
    """A run that was asked for may not start; the text says what a person can do."""

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


Look = tuple[Hold, float]  # and after how many seconds to look again


def over_budget(limit: OverBudget) -> Look:
    ends = "all" if limit.together else "own"
    about = f"{ends} {limit.until.isoformat()}"
    return Hold(HoldKind.BUDGET, str(limit), limit.until.timestamp(), about), BUDGET_LOOK


def uncounted(error: OSError) -> Look:
    """What was spent cannot be read, or the next run not be entered."""
    text = f"its cost cannot be noted ({error.strerror or error})"
    return Hold(HoldKind.BUDGET, text, None, "uncounted"), BUDGET_LOOK


def away(outage: Outage, who: str, now: float) -> Look:
    """`who` is the run that waits: all of them look at different moments."""
    spread = zlib.crc32(who.encode()) % 1000 / 1000 * PROBE_LOOK
    if outage.probe is not None:
        text = f"waits for {outage.provider}, which {outage.probe.citizen} tries now"
        return Hold(HoldKind.PROVIDER, text, None, outage.provider), PROBE_LOOK + spread
    reason = f" ({outage.reason})" if outage.reason else ""
    text = f"waits for {outage.provider} until {moment(outage.until, now)}{reason}"
    left = max(AT_LEAST, outage.until - now)
    return Hold(HoldKind.PROVIDER, text, outage.until, outage.provider), min(left, AWAY_LOOK + spread)
