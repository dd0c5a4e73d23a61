"""contexts/dreams.json: prompts and dreams, the newest last, next to other content."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scheduler.handlers.home_files import task_fails
from scheduler.system.files import quarantine, read_json_for_update, write_json

FILE = Path("contexts") / "dreams.json"

Message = Mapping[str, Any]


def message(role: str, content: str, at: float, **more: Any) -> Message:
    """An entry of the file, as v2's readers know it: role, content and more."""
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    return {"role": role, "content": content, "time": moment, **more}


def add(home: Path, new: Message, keep: int) -> bool:
    """Append `new` and drop all but the last `keep`; False if it is there as the last one already.

    A file without a list of messages is set aside, not lost; raises TaskFailed if it cannot be written.
    """
    path = home / FILE
    with task_fails(path, "cannot be written; correct that, or move it away"):
        document = read_json_for_update(path)
        if not isinstance(document.get("messages", []), list):
            quarantine(path)
            document = {}
        messages = document.get("messages", [])
        if messages and _same(messages[-1], new):
            return False
        write_json(path, {**document, "messages": [*messages, new][-keep:]})
    return True


def _same(old: Any, new: Message) -> bool:
    return isinstance(old, dict) and all(old.get(name) == new[name] for name in ("role", "content"))
