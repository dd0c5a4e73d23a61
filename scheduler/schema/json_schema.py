"""The JSON Schema of the settings files, for editors: each key with its meaning, its default and its unit."""

import json
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import short_duration
from scheduler.schema.table import Table
from scheduler.system.files import replace_file
from scheduler.system.foreign_home import make_folder

DIALECT = "http://json-schema.org/draft-07/schema#"  # for taplo and the editors that use it


# The first line of each new settings file. The schema lies next to the file: they move together, and an
# editor needs no network.
DIRECTIVE = "#:schema ./.experience/schema.json"


def write_beside(settings: Path, shape: type[Table]) -> None:
    """Write the schema to the place that `DIRECTIVE` names."""
    place = settings.parent / ".experience" / "schema.json"
    make_folder(place.parent)
    replace_file(place, json_schema(shape).encode())


def json_schema(shape: type[Table]) -> str:
    """The JSON Schema of a settings file of this shape."""
    return json.dumps({"$schema": DIALECT, **_plain(shape.model_json_schema())}, indent=1) + "\n"


def _plain(node: Any) -> Any:
    """The node without what pydantic derives from Python names, and with defaults as a person writes them."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {name: _plain(each) for name, each in node.items() if not _is_noise(name, each)}
    if kept.pop("x-duration", False) and kept.get("default"):
        kept["default"] = short_duration(kept["default"])
    if kept.get("type") == "number" and "default" in kept:
        kept["default"] = float(kept["default"])  # from a Decimal
    return kept


def _is_noise(name: str, value: Any) -> bool:
    """Whether this is a title made from the key, or a default that means "not set"."""
    return (name == "title" and isinstance(value, str)) or (name == "default" and value in (None, "", []))
