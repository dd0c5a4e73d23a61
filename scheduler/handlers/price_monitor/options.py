"""The options of `price_monitor`: the keys of its table in the settings."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import model_validator

from scheduler.handlers.net.urls import address
from scheduler.schema.table import Table, key
from scheduler.schema.values import (
    InvalidValue,
    Text,
    listed,
    number,
    reads,
    reads_list,
    seconds,
    secret_pairs,
    text,
)

SOURCES = ("coinbase", "kraken", "binance", "coingecko", "json")


NEEDS = ("source", "pairs|url")


LINES = """
source = "coinbase"
pairs = ["BTC/USD", "ETH/USD"]
"""


@reads(enum=list(SOURCES))
def _source(value: Any) -> str:
    if value not in SOURCES:
        raise InvalidValue(f"is none of {', '.join(SOURCES)}; write one of them")
    return str(value)


@reads_list()
def _pairs(value: Any) -> tuple[str, ...]:
    if not listed(value, '["BTC/USD"]'):
        raise InvalidValue("is empty; name a pair")
    found = tuple(dict.fromkeys(text(pair).strip() for pair in value))
    if not all(found) or len(found) > 200:
        raise InvalidValue("contains an empty pair, or more than 200 pairs; correct it")
    return found


@reads(type="number", exclusiveMinimum=0)
def _percent(value: Any) -> Decimal:
    limit = Decimal(str(number(value)))
    if not limit:
        raise InvalidValue("is 0; write per cent above 0, like 5")
    return limit


class Options(Table):
    """The keys of `[tasks.price_monitor]` in addition to those of every task."""

    source: Annotated[str, _source] = key("", "Where prices are asked for.")
    pairs: Annotated[tuple[str, ...], _pairs] = key((), "What to ask for, at most 200.")
    url: Annotated[str, address] = key("", "json: the address; {pair} stands for the pair.")
    path: Text = key("", "json: the way to the price, steps joined by dots.")
    time_path: Text = key("", "json: the way to the time of the price.")
    endpoint: Annotated[str, address] = key("", "Another start of the source's address.")
    headers: Annotated[Mapping[str, str] | None, secret_pairs] = key(None, "Headers to send; secrets.")
    alert_percent: Annotated[Decimal, _percent] = key(Decimal(5), "A move over this is urgent; per cent.")
    alert_window: Annotated[float, seconds(1)] = key(3600.0, "The time a move may take.")
    stale: Annotated[float, seconds(1)] = key(3600.0, "A price older than this does not count.")
    patience: Annotated[float, seconds(0.1)] = key(40.0, "How long all answers may take.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.source == "json" and not (self.url and self.path):
            raise InvalidValue("has source json, which needs url and path; add them")
        return self
