"""The table of built-in tasks: what every citizen has without a line of settings."""

from typing import Any, Final

FIRST = "opus"  # the citizen that the first start creates
STARTER = """\
# The settings of this citizen: [wake] and [tasks.NAME]. Every key is in docs/settings.md.
#
# [wake]
# every = "10m"
# command = ["sh", "-c", "cat > last_wake.json"]
"""

# interval and max_runtime in seconds; of the tasks that are due, the lowest priority starts first.
BACKGROUND_TASKS: Final[dict[str, dict[str, Any]]] = {
    "heartbeat": {
        "interval": 300,
        "description": "disk, memory, load and peers",
        "priority": 1,
        "max_runtime": 30,
    },
    "price_monitor": {
        "interval": 900,
        "description": "prices and their moves",
        "priority": 2,
        "max_runtime": 60,
    },
    "email_check": {
        "interval": 3600,
        "description": "mail that cannot wait",
        "priority": 3,
        "max_runtime": 120,
    },
    "news_scan": {
        "interval": 14400,
        "description": "what is new in the feeds",
        "priority": 4,
        "max_runtime": 300,
    },
    "dream_generate": {
        "interval": 21600,
        "description": "dreams of recent days",
        "priority": 5,
        "max_runtime": 600,
    },
    "memory_summary": {
        "interval": 21600,
        "description": "a summary of each day",
        "priority": 6,
        "max_runtime": 300,
    },
    "offsite_backup": {
        "interval": 86400,
        "description": "a copy somewhere else",
        "priority": 7,
        "max_runtime": 600,
        "retries": 2,
    },
}

# The scripts that v1's crontab ran, as an example for whoever still has them.
V1_SCRIPTS: Final = {
    "price_monitor": "body/specialists/price_monitor.py",
    "email_check": "body/specialists/email_monitor.py",
    "news_scan": "body/specialists/news_scanner_local.py",
    "dream_generate": "dreaming/dream_generator_local.py",
    "offsite_backup": "offsite_backup.py",
}


def advice(citizen: str, task: str, file: str) -> str:
    """The lines that make this task run something, ready to be pasted into the main settings file."""
    script = V1_SCRIPTS.get(task, f"scripts/{task}.py")
    return f'# in {file}\n[citizens.{citizen}.tasks.{task}]\ncommand = ["python3", "{script}"]'
