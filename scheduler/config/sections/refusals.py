"""Reads [[refusals]]: further words in which a service says that it is away."""

from collections.abc import Mapping
from typing import Annotated, Any

from scheduler.agents.refusals.refusal_rule import RefusalRule
from scheduler.schema.table import At, Problems, Table, is_table, key, read, table_of
from scheduler.schema.values import Flag, InvalidValue, Reader, Text, listed, one_of, reads_list, text

WAITS = ("yes", "named", "no")


@reads_list()
def _patterns(value: Any) -> tuple[str, ...]:
    found = tuple(text(each) for each in listed(value, '["too busy ... retry"]'))
    if not found or not all(part.strip() for each in found for part in each.split(" ... ")):
        raise InvalidValue('has nothing to look for; write words, like ["too busy ... retry"]')
    return found


class RefusalTable(Table):
    """The keys of `[[refusals]]`."""

    kind: Text = key("overloaded", "The word on screen, such as usage_limit or overloaded.")
    wait: Annotated[str, one_of(WAITS)] = key(
        "yes", '"named": only until a time in the text; "no": a failure.'
    )
    patterns: Annotated[tuple[str, ...], _patterns] = key((), "Words of a failed run; ' ... ' parts them.")
    spans: Flag = key(True, "false: a span in the text is not when it ends.")


def _list_of_tables(value: Any) -> list[Any]:
    return listed(value, "[[refusals]]")


def _schema(handler: Any) -> dict[str, Any]:
    return {"type": "array", "items": table_of(RefusalTable).__get_pydantic_json_schema__(None, handler)}


Refusals = Annotated[list[Any] | None, Reader(_list_of_tables, _schema)]


def refusals(raw: list[Any] | None, at: At, problems: Problems) -> tuple[RefusalRule, ...]:
    """The rules, in order; problems are noted."""
    return tuple(_rule(each, (*at, str(number)), problems) for number, each in enumerate(raw or [], 1))


def _rule(raw: Any, at: At, problems: Problems) -> RefusalRule:
    given: Mapping[str, Any] = is_table(raw, at, problems)
    table = read(RefusalTable, given, at, problems)
    if isinstance(raw, dict) and "patterns" not in given:
        problems.add(at, 'has no patterns; add patterns = ["too busy"] with words of the refusal')
    return RefusalRule(table.kind, table.wait, table.patterns, table.spans)
