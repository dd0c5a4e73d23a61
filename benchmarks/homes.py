"""Homes of make-believe citizens, in a folder of their own, and the environment that leads there."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

BUILT_IN = (
    "heartbeat",
    "price_monitor",
    "email_check",
    "news_scan",
    "dream_generate",
    "memory_summary",
    "offsite_backup",
)

# Without bytecode on disk a program would be compiled at each start, which no user ever waits for.
NOT_OURS = ("EXPERIENCE_", "PYTHONDONTWRITEBYTECODE")


def settle(root: Path, citizens: int) -> None:
    """Citizens of seven built-in tasks, written as v2 wrote them; nothing is due for the next minutes."""
    now = time.time()
    state = {"last_run": dict.fromkeys(BUILT_IN, now), "run_counts": dict.fromkeys(BUILT_IN, 42)}
    failure = {"time": "2024-01-15T17:33:20+00:00", "error": "Connection timeout"}
    document = json.dumps({**state, "errors": {"news_scan": failure}})
    last_wake = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(now))
    wakes = json.dumps({"last_wake": last_wake, "wake_count": 7})
    for number in range(citizens):
        home = root / f"citizen{number:04}"
        home.mkdir()
        (home / "background_tasks.json").write_text(document)
        (home / "metadata.json").write_text(wakes)


def environment(root: Path, **more: str) -> Mapping[str, str]:
    """Ours, without what this machine has configured."""
    settings = root / "experience.toml"
    settings.touch()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
    return {**kept, "EXPERIENCE_ROOT": str(root), "EXPERIENCE_CONFIG": str(settings), **more}
