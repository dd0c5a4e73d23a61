"""The letter: what a wake reads on its standard input."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import iso
from scheduler.engine.wake.results import TaskResult

QUEUE_SHOWN = 500


def letter(
    citizen: str, number: int, why: str, results: Sequence[TaskResult], late: Sequence[str], home: Path
) -> dict[str, Any]:
    """Return what happened since the last wake and the reason for this one; blocks."""
    return {
        "citizen": citizen,
        "wake": number,
        "why": why,
        "results": [_result(each) for each in results],
        "still_running": list(late),
        "queue": queue(home)[:QUEUE_SHOWN],
    }


def queue(home: Path) -> list[str]:
    """Return the names of the files queued for the next wake; blocks."""
    try:
        return sorted(path.name for path in (home / "tasks" / "queue").glob("*.json"))
    except OSError:
        return []


def _result(result: TaskResult) -> dict[str, Any]:
    moment = iso(result.time)
    return {"task": result.task, "outcome": result.outcome, "text": result.text, "time": moment}
