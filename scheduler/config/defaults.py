"""The table of built-in tasks, which every citizen has without any settings."""

from typing import Any, Final

FIRST = "opus"  # the citizen that the first start creates
STARTER = """\
# The settings of this citizen: [wake] and [tasks.NAME]. Every key is in docs/settings.md.
#
# [wake]
# every = "10m"
# command = ["sh", "-c", "cat > last_wake.json"]
"""

# Name, interval and max_runtime in seconds, description; the priority is the position in this table.
_BUILT_IN = (
    ("heartbeat", 300, 30, "disk, memory, load and peers"),
    ("price_monitor", 900, 60, "prices and their moves"),
    ("email_check", 3600, 120, "mail that cannot wait"),
    ("news_scan", 14400, 300, "what is new in the feeds"),
    ("dream_generate", 21600, 600, "dreams of recent days"),
    ("memory_summary", 21600, 300, "a summary of each day"),
    ("offsite_backup", 86400, 600, "a copy somewhere else"),
)
BACKGROUND_TASKS: Final[dict[str, dict[str, Any]]] = {
    name: {"interval": every, "description": words, "priority": priority, "max_runtime": longest}
    for priority, (name, every, longest, words) in enumerate(_BUILT_IN, 1)
}
BACKGROUND_TASKS["offsite_backup"]["retries"] = 2
for _name in ("heartbeat", "price_monitor"):  # their messages are measurements, different each time
    BACKGROUND_TASKS[_name]["news"] = False

# The scripts that v1's crontab ran, as examples for homes that still have them.
V1_SCRIPTS: Final = {
    "price_monitor": "body/specialists/price_monitor.py",
    "email_check": "body/specialists/email_monitor.py",
    "news_scan": "body/specialists/news_scanner_local.py",
    "dream_generate": "dreaming/dream_generator_local.py",
    "offsite_backup": "offsite_backup.py",
}


def advice(header: str, task: str) -> str:
    """Lines that give this task something to run, ready to paste; they start with `header`."""
    script = V1_SCRIPTS.get(task, f"scripts/{task}.py")
    return f'{header}\ncommand = ["python3", "{script}"]'
