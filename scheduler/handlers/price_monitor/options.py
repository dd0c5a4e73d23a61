"""The options of `price_monitor`: what its table in the settings may hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from scheduler.handlers.net.urls import address
from scheduler.schema.table import key
from scheduler.schema.values import InvalidValue, kind, number, pairs, seconds, secret, text

if TYPE_CHECKING:
    pass


SOURCES = ("coinbase", "kraken", "binance", "coingecko", "json")


NEEDS = ("source", "pairs|url")


LINES = """
source = "coinbase"
pairs = ["BTC/USD", "ETH/USD"]
"""


def _source(value: Any) -> str:
    if value not in SOURCES:
        raise InvalidValue(f"is none of {', '.join(SOURCES)}; write one of them")
    return str(value)


def _pairs(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidValue(
            f'is {kind(value)}; write a list, like ["BTC/USD"]' if value else "is empty; name a pair"
        )
    found = tuple(dict.fromkeys(text(pair).strip() for pair in value))
    if not all(found) or len(found) > 200:
        raise InvalidValue("holds an empty pair, or more than 200; correct it")
    return found


def _percent(value: Any) -> Decimal:
    limit = Decimal(str(number()(value)))
    if not limit:
        raise InvalidValue("is 0; write per cent above 0, like 5")
    return limit


def _headers(value: Any) -> Mapping[str, str]:
    return {name: secret(each) for name, each in pairs(value).items()}


@dataclass(frozen=True, slots=True)
class Options:
    """The keys of `[tasks.price_monitor]` beside those of every task."""

    source: str = key(_source, "")
    pairs: tuple[str, ...] = key(_pairs, ())
    url: str = key(address, "")  # json only; {pair} stands for the pair
    path: str = key(text, "")
    time_path: str = key(text, "")
    endpoint: str = key(address, "")
    headers: Mapping[str, str] | None = key(_headers)
    alert_percent: Decimal = key(_percent, Decimal(5))  # noqa: RUF009  # a field, not a shared value
    alert_window: float = key(seconds(1), 3600.0)
    stale: float = key(seconds(1), 3600.0)
    patience: float = key(seconds(0.1), 40.0)  # for all of them

    def __post_init__(self) -> None:
        if self.source == "json" and not (self.url and self.path):
            raise InvalidValue("has source json, which needs url and path; add them")
