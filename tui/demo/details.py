"""What the tasks of the make-believe fleet claim to be: the built-in ones, with settings made up."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.core.details import TaskDetails
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Task

SETTINGS: dict[str, dict[str, Any]] = {
    "price_monitor": {"source": "coinbase", "pairs": ("BTC-EUR", "ETH-EUR", "SOL-EUR")},
    "email_check": {
        "host": "imap.example.org",
        "user": "citizen@example.org",
        "password": "made up",
        "urgent_from": ("ct@example.org", "alerts@example.org"),
    },
    "news_scan": {
        "feeds": {
            "world": "https://feeds.example.org/world.xml",
            "science": "https://feeds.example.org/science.xml",
            "local": "https://news.example.net/rss",
            "releases": "https://code.example.com/releases.atom",
        },
        "keywords": ("agents", "terminals"),
    },
    "offsite_backup": {"directory": Path("/mnt/vault/backups"), "keep": 30, "exclude": ("*.tmp",)},
}


def details(citizen: str, task: Task, state: TaskState, now: float) -> TaskDetails:
    """The task as its owner would explain it."""
    from scheduler.core.description import explain  # with the handlers 50 ms, that only those pay who look

    return explain(citizen, _dressed(citizen, task), state, now, 0.0, ())


def _dressed(citizen: str, task: Task) -> Task:
    """The task with what a real one has and the demo does not need."""
    from scheduler.handlers.registry import built_in

    entry, ours = BACKGROUND_TASKS.get(task.name), built_in(task.name)
    if entry is None or ours is None:
        return task
    task = replace(task, description=entry["description"], retries=entry.get("retries", 0))
    if not task.set_up:
        return task
    given = SETTINGS.get(task.name, {})
    source = f"/srv/citizens/{citizen}/experience.toml" if given else ""
    return replace(task, work=Call(ours.function), options=ours.options(**given), source=source)
