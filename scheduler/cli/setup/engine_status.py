"""What `experience-tui engine status` prints: citizens, queues and workers."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from scheduler.cli.printing import table
from scheduler.core.wording.spans import took
from scheduler.runtime.engine_report import Seen


def document(seen: Seen) -> dict[str, Any]:
    """The report as JSON, for scripts."""
    return {
        "database": seen.database,
        "clock_skew": seen.skew,
        "citizens": [asdict(each) for each in seen.citizens],
        "queues": [asdict(each) for each in seen.queues],
        "workers": [asdict(each) for each in seen.workers],
    }


def as_text(seen: Seen, width: int) -> Iterator[str]:
    """The report as tables; queues and workers only if there are any."""
    yield f"{seen.database}: {len(seen.citizens)} citizens"
    rows = [("citizen", "machine", "pid", "epoch", "lease")]
    rows += [
        (each.citizen, each.machine, str(each.pid or ""), str(each.epoch), _lease(each.left))
        for each in seen.citizens
    ]
    yield from table(rows, width, ("pid", "epoch", "lease"))
    if seen.queues:
        yield ""
        yield from table(_queues(seen), width, ("workers", "running", "waiting", "oldest"))
    if seen.workers:
        yield ""
        yield from table(_workers(seen), width, ("pid", "at once", "lease"))


def _queues(seen: Seen) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("queue", "workers", "running", "waiting", "oldest", "next")]
    for each in seen.queues:
        oldest = "" if each.oldest is None else took(max(0.0, each.oldest))
        numbers = (each.workers, each.running, each.waiting)
        rows.append((each.queue, *map(str, numbers), oldest, each.first))
    return rows


def _workers(seen: Seen) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("worker on", "pid", "queues", "at once", "lease", "carries")]
    for each in seen.workers:
        facts = (", ".join(each.queues), str(each.concurrency), _lease(each.left))
        rows.append((each.machine, str(each.pid or ""), *facts, ", ".join(each.carries)))
    return rows


def _lease(left: float) -> str:
    return f"{left:.0f}s" if left > 0 else "ended"
