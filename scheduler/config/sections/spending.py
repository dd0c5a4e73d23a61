"""Reads the tables [budget] and [prices]: what runs may cost, and the prices of tokens."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from scheduler.core.costs import Budget, Price, Prices
from scheduler.schema.table import At, Nested, Problems, Table, a_table, is_table, key, read, table_of
from scheduler.schema.values import Reader, dollars, dollars_or_nothing


class BudgetTable(Table):
    """The keys of `[budget]`: the most that runs may cost, in US dollars."""

    run: Annotated[Decimal | None, dollars] = key(None, "One run; passed on as EXPERIENCE_BUDGET.")
    day: Annotated[Decimal | None, dollars] = key(None, "All runs of a day.")
    month: Annotated[Decimal | None, dollars] = key(None, "All runs of a calendar month.")


def budget(raw: Mapping[str, Any] | None, at: At, problems: Problems) -> Budget:
    """The limits; problems are noted."""
    table = read(BudgetTable, raw or {}, at, problems)
    return Budget(table.run, table.day, table.month)


class PriceTable(Table):
    """The keys of `[prices.MODEL]`: US dollars for a million tokens."""

    input: Annotated[Decimal | None, dollars_or_nothing] = key(None, "For a million tokens sent to it.")
    output: Annotated[Decimal | None, dollars_or_nothing] = key(None, "For a million tokens of its own.")


def _prices_schema(handler: Any) -> dict[str, Any]:
    each = table_of(PriceTable).__get_pydantic_json_schema__(None, handler)
    return {"type": "object", "additionalProperties": each}


PRICES = Reader(a_table, _prices_schema)
PricesTable = Annotated[Nested, PRICES]


def prices(raw: Mapping[str, Any] | None, at: At, problems: Problems) -> Prices:
    """The price of each model; problems are noted."""
    return {name: _price(table, (*at, name), problems) for name, table in (raw or {}).items()}


def _price(raw: Any, at: At, problems: Problems) -> Price:
    given = is_table(raw, at, problems)
    table, before = read(PriceTable, given, at, problems), len(problems.found)
    for name in ("input", "output"):
        if isinstance(raw, dict) and name not in given and len(problems.found) == before:
            problems.add(at, f"has no {name}; add both, like {{ input = 1.25, output = 10 }}")
    return Price(table.input or Decimal(0), table.output or Decimal(0))
