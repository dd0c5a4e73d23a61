"""Questions before a key starts more than expected: a wake, a reset, one more run."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from scheduler.core.records import RunRecord
from scheduler.core.views import Hold, HoldKind, TaskView
from scheduler.core.wording.description import TaskDetails
from scheduler.spending.money import dollars, total
from tui.common.amounts import amount
from tui.common.questions.question import STAY, Choice, Words
from tui.common.text import elapsed, plural

# Built-in tasks that change nothing.
LOOKS = ("heartbeat", "price_monitor", "email_check", "news_scan")

WAKE = (Choice("w", "wake"), Choice(STAY, "no"))
TRY = (Choice("w", "try it, and wake"), Choice(STAY, "no"))
RESET = (Choice("r", "reset"), Choice(STAY, "leave it as it is"))
AGAIN = (Choice("f", "run it once more when this run has ended"), Choice(STAY, "no"))


def only_looks(task: TaskView) -> bool:
    """Whether a run of the task costs nothing and changes nothing outside its home."""
    return task.builtin and task.name in LOOKS


def wake_facts(
    citizen: str, held: Hold | None, details: TaskDetails | None, known: Sequence[Decimal], due: int
) -> Iterator[Words]:
    """What stands in the way of a wake, what it costs, what it runs; `known` is what the last ones cost."""
    if held and held.kind is HoldKind.BUDGET:
        yield f"{citizen} is {held.why}.", "$warn"
    elif held:
        yield f"{citizen} {held.why}.", "$warn"
    if held and held.kind is HoldKind.PROVIDER and held.until is not None:
        yield "This wake would be the one that tries it; the others wait for it.", "$ink"
    if known:
        mean, dearest = total(known) / len(known), max(known)
        many = f"mean of {len(known)}" if len(known) > 1 else "the last one"
        yield f"A wake costs about {dollars(mean)} ({many}), {dollars(dearest)} at most.", "$ink"
    if held or known:
        yield "", "$ink"
    work = next((fact.words for fact in details.facts if fact.label == "runs"), "") if details else ""
    if work:
        yield f"  {work}", "$title"
    first = (
        f"{plural(due, 'due task')} run{'s' if due == 1 else ''} first" if due else "no task is due before it"
    )
    yield f"  the gate is not asked; {first}", "$faint"


def reset_facts(task: TaskView) -> Iterator[Words]:
    """What a reset does beyond what its name says."""
    yield "Its last run and its last error are forgotten:", "$ink"
    held = task.paused_at is not None or not task.enabled
    yield "it runs at the next check" + (", once it is resumed." if held else ", like a force."), "$ink"


def again_facts(task: TaskView, now: float) -> Iterator[Words]:
    """Why a force has no effect now."""
    gone = elapsed(now - (task.running_since or now))
    yield f"It has been running for {gone}. A task never runs beside itself.", "$ink"


def costs(runs: Iterable[RunRecord]) -> Iterator[Decimal]:
    """The cost of each run that cost anything."""
    for run in runs:
        if run.cost and (cost := amount(run.cost.cost_usd)):
            yield cost
