"""The files of price_monitor: the lines of prices.jsonl, and the work that a move puts in tasks/queue."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scheduler.errors import TaskFailed
from scheduler.handlers.home_files import append_lines
from scheduler.handlers.price_monitor.moves import Move
from scheduler.system.files import write_json

MOST = 32 << 20  # bytes of prices.jsonl: five pairs every quarter of an hour for about two years
FULL = 5000  # files in the queue from which on nothing is added until somebody works it off


def append(home: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Add lines to prices.jsonl, of which the older half goes when it is full; raises TaskFailed."""
    file = home / "prices.jsonl"
    data = b"".join(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n" for line in lines)
    try:
        if append_lines(file, data) > MOST:
            _halve(file)
    except OSError as error:
        raise TaskFailed(f"{file} cannot be written: {error.strerror}") from error


def queue(home: Path, pair: str, source: str, move: Move) -> bool:
    """Put one file of work in tasks/queue; False if that is full already. Raises TaskFailed.

    The name comes from the move, so that a run which died before it could remember does not queue it twice.
    """
    folder = home / "tasks" / "queue"
    named = f"{source} {pair} {move.before.at} {move.before.price.text} {move.percent > 0}"
    file = folder / f"price_{hashlib.sha256(named.encode('utf-8', 'replace')).hexdigest()[:16]}.json"
    try:
        if not file.exists() and folder.is_dir() and sum(1 for _ in folder.iterdir()) >= FULL:
            return False
        write_json(file, _work(pair, source, move))
    except OSError as error:
        raise TaskFailed(f"{file} cannot be saved: {error.strerror}") from error
    return True


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _work(pair: str, source: str, move: Move) -> dict[str, Any]:
    return {
        "type": "price_alert",
        "description": f"{pair} {move} ({source})",
        "price": {
            "pair": pair,
            "source": source,
            "percent": f"{move.percent:.4f}",
            "before": {"time": iso(move.before.at), "price": move.before.price.text},
            "after": {"time": iso(move.after.at), "price": move.after.price.text},
        },
        "created": iso(move.after.at),
        "priority": "high",
    }


def _halve(file: Path) -> None:
    partial = file.with_name(f".{file.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with file.open("rb") as old, open(descriptor, "wb") as new:  # noqa: PTH123 - the mode is set at creation
        old.seek(file.stat().st_size // 2)
        old.readline()
        shutil.copyfileobj(old, new)
        new.flush()
        os.fsync(descriptor)
    partial.replace(file)
