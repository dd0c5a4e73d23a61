"""The lines that v1's crontab had: which task or wake each became, told by the script it runs."""

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.migration.names import script_of

WAKE = "wake"
_SCRIPTS = {
    "autonomous_wake": WAKE,
    "news_scanner_local": "news_scan",
    "news_scanner": "news_scan",
    "heartbeat": "heartbeat",
    "dream_generator_local": "dream_generate",
    "dream_generator": "dream_generate",
    "price_monitor": "price_monitor",
    "email_monitor": "email_check",
    "offsite_backup": "offsite_backup",
} | {name: name for name in BACKGROUND_TASKS}
_ENDS = (".py", ".sh")


def v1_name(command: str) -> str:
    """`wake`, the built-in task of the same purpose, or empty for a command that v1 did not have."""
    script = script_of(command)
    end = next((end for end in _ENDS if script.endswith(end)), "")
    return _SCRIPTS.get(script.removesuffix(end), "") if end else ""
