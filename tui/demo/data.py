"""The made-up fleet as data: its citizens, their tasks and the state in which each starts."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.core.schedules.schedule import Every
from scheduler.core.state import RECENT, Failure, TaskState
from scheduler.core.task import Call, NotSetUp, Outcome, Task
from scheduler.handlers.registry import built_in

MESSAGES = {  # seconds that a run takes, and its message
    "heartbeat": (1.2, "disk 61% full, load 0.4, 29 peers awake"),
    "price_monitor": (9.0, "BTC 61,240 (+0.4%), ETH 3,012 (-1.1%)"),
    "email_check": (25.0, "3 unread, none urgent"),
    "news_scan": (48.0, "12 new items from 4 feeds"),
    "dream_generate": (140.0, "queued a prompt from 6 memories"),
    "memory_summary": (75.0, "2 days summarised"),
    "offsite_backup": (210.0, "184 MB in 3 files, verified"),
}
NAMES = (
    "aria", "atlas", "basil", "cedar", "clio", "dawn", "echo", "ember", "fern", "flint",
    "gaia", "hazel", "iris", "juno", "kestrel", "lark", "luna", "mira", "nova", "onyx",
    "opus", "pax", "quill", "rune", "sage", "terra", "umbra", "vesper", "wren", "zephyr",
)  # fmt: skip
FAILURES = {  # the message, and the number of failures in a row
    ("opus", "news_scan"): ("Connection timeout: feeds.example.org:443", 2),
    ("dawn", "email_check"): ("IMAP login refused: [AUTHENTICATIONFAILED] invalid credentials", 5),
    ("atlas", "offsite_backup"): ("restic: repository is already locked by PID 812 on vault", 1),
    ("iris", "news_scan"): (
        "\x1b[31mHTTP 502\x1b[0m [/red] \u202egnp.exe\u202c 日本語 ☕️\tbad\n" + "second" * 50,
        3,
    ),
    ("zephyr", "price_monitor"): ("429 Too Many Requests, retry after 120 s", 1),
}
HOSTILE = ("iris", "news_scan")  # its feeds answer with text that tries to disturb a terminal
WARNINGS = {
    ("mira", "heartbeat"): "disk 91% full: /home",
    ("lark", "news_scan"): "1 of 4 feeds did not answer",
}
RUNNING = {("opus", "email_check"), ("aria", "dream_generate"), ("fern", "offsite_backup")}
PAUSED = {("opus", "offsite_backup"), ("clio", "price_monitor"), ("clio", "news_scan")}
NOT_SET_UP = {
    ("opus", "dream_generate"): "llm",
    ("mira", "email_check"): "host",
    ("basil", "offsite_backup"): "repository or directory",
    ("cedar", "news_scan"): "feeds",
}
OPTIONS: dict[str, dict[str, Any]] = {
    "price_monitor": {"source": "coinbase", "pairs": ("BTC-EUR", "ETH-EUR", "SOL-EUR")},
    "email_check": {"host": "imap.example.org", "user": "citizen@example.org", "password": "made up"},
    "news_scan": {"feeds": {"world": "https://feeds.example.org/world.xml"}, "keywords": ("agents",)},
    "offsite_backup": {"directory": Path("/mnt/vault/backups"), "keep": 30, "exclude": ("*.tmp",)},
}


def tasks(citizen: str) -> Iterator[Task]:
    """The built-in tasks, as this citizen's settings would define them."""
    for name, entry in BACKGROUND_TASKS.items():
        handler, missing = built_in(name), NOT_SET_UP.get((citizen, name))
        assert handler
        given = OPTIONS.get(name, {}) if not missing else {}
        advice = f'# in /srv/citizens/experience.toml\n[citizens.{citizen}.tasks.{name}]\n{missing} = "..."'
        yield Task(
            name,
            Every(entry["interval"]),
            NotSetUp(missing, advice) if missing else Call(handler.function),
            timeout=entry["max_runtime"],
            priority=entry["priority"],
            retries=entry.get("retries", 0),
            description=entry["description"],
            options=handler.options.model_construct(**given),
            source=f"/srv/citizens/{citizen}/experience.toml" if given else "",
        )


def outcome(citizen: str, task: str) -> tuple[Outcome, str]:
    """The outcome and text of each run of this task."""
    if failure := FAILURES.get((citizen, task)):
        return Outcome.FAILED, failure[0]
    if warning := WARNINGS.get((citizen, task)):
        return Outcome.WARNING, warning
    return Outcome.OK, MESSAGES[task][1]


def _recent(chance: random.Random, key: tuple[str, str], failed: int) -> str:
    """The outcomes of the last runs: mostly ok, then the failures so far."""
    if key in WARNINGS:
        return "o" * (RECENT - 1) + "w"
    past = "".join("x" if chance.random() < 0.03 else "o" for _ in range(RECENT - failed))
    return past + "x" * failed


def state(citizen: str, task: Task, now: float, busy_at: float) -> TaskState:
    """The saved state of this task; a task that the demo shows running is due at `busy_at`."""
    key, every, chance = (citizen, task.name), task.schedule.after(0), random.Random(f"{citizen}/{task.name}")
    if key in NOT_SET_UP:
        return TaskState()
    last = busy_at - every if key in RUNNING else now - chance.uniform(0.02, 0.98) * every
    result, text = outcome(*key)
    before = FAILURES[key][1] if result.bad else 0
    return TaskState(
        last,
        run_count=int(chance.uniform(3, 90 * 86400 / every)),
        error=Failure(last, text) if result.bad else None,
        failures_in_a_row=before,
        last_duration=MESSAGES[task.name][0],
        last_success=last - before * every,
        first_seen=last,
        recent=_recent(chance, key, before),
        paused=key in PAUSED,
        paused_at=now - 600 if key in PAUSED else None,
        outcome=result,
        text="" if result.bad else text,
    )
