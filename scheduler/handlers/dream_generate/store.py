"""contexts/dreams.json: prompts and dreams, the newest last, among whatever else is kept there."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scheduler.errors import TaskFailed
from scheduler.system.files import quarantine, read_json_for_update, write_json

LIMIT = 64 << 20  # bytes: what is longer was not written here, and is not read into memory
FILE = Path("contexts") / "dreams.json"

Message = Mapping[str, Any]


def message(role: str, content: str, at: float, **more: Any) -> Message:
    """An entry of the file, as v2's readers know it: role and content, with more beside them."""
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    return {"role": role, "content": content, "time": moment, **more}


def add(home: Path, new: Message, keep: int) -> bool:
    """Put `new` at the end and drop all but the last `keep`; False if it is there as the last one already.

    What cannot be understood is set aside, not lost; raises TaskFailed if the file cannot be written.
    """
    path = home / FILE
    try:
        document = _document(path)
        messages = document.get("messages", [])
        if messages and _same(messages[-1], new):
            return False
        write_json(path, {**document, "messages": [*messages, new][-keep:]})
    except OSError as error:
        raise TaskFailed(f"{path} cannot be written: {error.strerror}; mend that, or move it away") from error
    return True


def _document(path: Path) -> dict[str, Any]:
    if path.exists() and not path.is_file():
        raise TaskFailed(f"{path} is no file; move it away")  # reading a pipe would wait for ever
    if path.exists() and path.stat().st_size > LIMIT:
        raise TaskFailed(f"{path} is longer than {LIMIT >> 20} MiB; move it away")
    document = read_json_for_update(path)
    if not isinstance(document.get("messages", []), list):
        quarantine(path)
        return {}
    return document


def _same(old: Any, new: Message) -> bool:
    return isinstance(old, dict) and all(old.get(name) == new[name] for name in ("role", "content"))
