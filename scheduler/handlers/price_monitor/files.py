"""Writes the files of price_monitor: lines in prices.jsonl, and work in tasks/queue after a large move."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import iso
from scheduler.handlers.home_files import append_lines, count_files, task_fails
from scheduler.handlers.price_monitor.moves import Move
from scheduler.system.files import replace_file, require_home, write_json

MOST = 32 << 20  # bytes of prices.jsonl: about two years of five pairs every quarter of an hour
FULL = 5000  # files in the queue; with as many, nothing is added


def append(home: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Add lines to prices.jsonl, and drop its older half when it is full; raises TaskFailed."""
    file = home / "prices.jsonl"
    data = b"".join(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n" for line in lines)
    if append_lines(file, data) > MOST:
        with task_fails(file, "cannot be written"):
            _halve(file)


def queue(home: Path, pair: str, source: str, move: Move) -> bool:
    """Write one file of work to tasks/queue; False if the queue is full. Raises TaskFailed.

    The file is named after the move, so that a run that dies before it remembers does not queue it twice.
    """
    folder = home / "tasks" / "queue"
    named = f"{source} {pair} {move.before.at} {move.before.price.text} {move.percent > 0}"
    file = folder / f"price_{hashlib.sha256(named.encode('utf-8', 'replace')).hexdigest()[:16]}.json"
    if not file.exists() and count_files(folder) >= FULL:
        return False
    with task_fails(file, "cannot be saved"):
        require_home(home)
        write_json(file, _work(pair, source, move))
    return True


def _work(pair: str, source: str, move: Move) -> dict[str, Any]:
    return {
        "type": "price_alert",
        "description": f"{pair} {move} ({source})",
        "price": {
            "pair": pair,
            "source": source,
            "percent": f"{move.percent:.4f}",
            "before": {"time": iso(move.before.at, "seconds"), "price": move.before.price.text},
            "after": {"time": iso(move.after.at, "seconds"), "price": move.after.price.text},
        },
        "created": iso(move.after.at, "seconds"),
        "priority": "high",
    }


def _halve(file: Path) -> None:
    with file.open("rb") as lines:
        lines.seek(file.stat().st_size // 2)
        lines.readline()
        newer = lines.read()
    replace_file(file, newer)
