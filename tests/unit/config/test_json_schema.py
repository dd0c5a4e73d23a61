"""The schema that editors read is one, and says of settings what the scheduler says of them."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from scheduler.cli.queries.schema import schema_command
from scheduler.config.citizen import CitizenTable
from scheduler.config.loader import load
from scheduler.config.main_file import MainTable
from scheduler.core.schedules.schedule import duration
from scheduler.handlers.registry import BUILT_IN, built_in
from scheduler.schema.json_schema import DIRECTIVE, json_schema
from tests.each import each
from tests.unit.config.test_settings import blocks

MAIN = json.loads(json_schema(MainTable))
OWN = json.loads(json_schema(CitizenTable))
TYPES: dict[str, Any] = {
    **{"string": str, "boolean": bool, "integer": int, "number": (int, float)},
    **{"array": list, "object": dict},
}
KNOWN = {
    *("$schema", "type", "properties", "additionalProperties", "propertyNames", "items", "enum", "anyOf"),
    *("pattern", "minimum", "maximum", "exclusiveMinimum", "minItems", "minLength"),
    *("default", "description", "const", "not"),
}


def wrong(value: Any, schema: dict[str, Any], at: str = "") -> list[str]:
    """What JSON Schema (the part of it that we use) says is wrong with the value."""
    assert set(schema) <= KNOWN, (at, schema)
    if "anyOf" in schema:
        return min((wrong(value, each, at) for each in schema["anyOf"]), key=len)
    if "type" in schema:
        fits = isinstance(value, TYPES[schema["type"]])
        if not fits or (isinstance(value, bool) and schema["type"] != "boolean"):
            return [f"{at}: no {schema['type']}"]
    found = [f"{at}: none of enum"] if value not in schema.get("enum", [value]) else []
    found += [f"{at}: not that"] if "not" in schema and not wrong(value, schema["not"], at) else []
    found += [f"{at}: not const"] if value != schema.get("const", value) else []
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        found.append(f"{at}: pattern")
    if isinstance(value, int | float) and not (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and value > schema.get("exclusiveMinimum", value - 1)
    ):
        found.append(f"{at}: range")
    if isinstance(value, list):
        found += [f"{at}: too few"] if len(value) < schema.get("minItems", 0) else []
        found += [line for each in value for line in wrong(each, schema.get("items", {}), f"{at}[]")]
    if isinstance(value, dict):
        for name, each in value.items():
            found += wrong(name, schema.get("propertyNames", {}), f"the name {name}")
            below = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            found += [f"{at}.{name}: unknown"] if below is False else wrong(each, below, f"{at}.{name}")
    return found


def every_table(schema: dict[str, Any]) -> list[dict[str, Any]]:
    below = [*schema.get("properties", {}).values(), schema.get("additionalProperties")]
    below += schema.get("anyOf", [])
    return [schema, *(each for one in below if isinstance(one, dict) for each in every_table(one))]


@each("block", blocks("settings.md") + blocks("tasks.md"))
def test_what_the_documents_show_fits(block: str) -> None:
    main = any(table in block for table in ("citizens.", "[monitor]", "[keys]"))
    assert wrong(tomllib.loads(block), MAIN if main else OWN) == []


def test_what_is_wrong_is_found() -> None:
    for text, said in {
        "workerz = 3": ".workerz: unknown",
        "workers = 300": ".workers: range",
        "grace = 'soon'": ".grace: pattern",
        "[tasks.Report]": "the name Report: pattern",
        "[tasks.x]\nevery = true": ".tasks.x.every: no string",
        "[tasks.x]\ndisk_warning = 5": ".tasks.x.disk_warning: unknown",
        "[tasks.heartbeat]\ndisk_warnin = 5": ".tasks.heartbeat.disk_warnin: unknown",
        "[llm]\napi = 'grpc'": ".llm.api: none of enum",
    }.items():
        assert wrong(tomllib.loads(text), OWN) == [said], text
    for text in ("workers = '${MANY}'", "grace = '1h30m'", "grace = '2 hours'", "grace = 5"):
        assert wrong(tomllib.loads(text), OWN) == [], text


def test_every_table_is_closed_and_every_default_fits() -> None:
    for schema in (MAIN, OWN):
        for table in every_table(schema):
            if "properties" in table:
                assert "additionalProperties" in table
            for name, key in table.get("properties", {}).items():
                assert wrong(key["default"], key, name) == [] if "default" in key else True
                assert key.get("description"), name


def test_every_option_of_a_built_in_task_is_there() -> None:
    for name in BUILT_IN:
        known, builtin = OWN["properties"]["tasks"]["properties"][name], built_in(name)
        assert builtin is not None
        assert {*builtin.options.model_fields, "every", "cron"} <= known["properties"].keys()
        assert known["additionalProperties"] is False
    keep_raw = OWN["properties"]["tasks"]["properties"]["memory_summary"]["properties"]["keep_raw"]
    assert duration(keep_raw["default"]) == 400 * 86400


def test_the_command_prints_it() -> None:
    assert json.loads(CliRunner().invoke(schema_command, []).output) == MAIN
    assert json.loads(CliRunner().invoke(schema_command, ["--own"]).output) == OWN


def test_the_first_file_names_a_schema_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "main.toml").write_text("")
    load(config=tmp_path / "main.toml", environ={"EXPERIENCE_ROOT": str(tmp_path / "homes")}, create=True)
    file = tmp_path / "homes/opus/experience.toml"
    assert file.read_text().startswith(f"{DIRECTIVE}\n")
    assert json.loads((file.parent / DIRECTIVE.split()[1]).read_text()) == OWN
