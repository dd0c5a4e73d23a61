"""Where prices come from: what to ask each source, and how to read what it answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from scheduler.handlers.price_monitor.prices import NoPrice, Price, price, step_into

Read = Callable[[Any, str], Price]


@dataclass(frozen=True, slots=True)
class Source:
    """A place that knows prices: `ask` makes the path for some pairs, `read` finds one in the document."""

    endpoint: str
    ask: Callable[[Sequence[str]], str]
    read: Read
    together: bool = False  # one request serves all pairs


def _parts(pair: str) -> tuple[str, str]:
    """`BTC/USD` or `BTC-USD`: what, and in which currency."""
    what, _, currency = pair.rpartition("/" if "/" in pair else "-")
    if not what or not currency:
        raise NoPrice('a pair has two sides; write it like "BTC/USD"')
    return what, currency


# ------------------------------------------------------------------ coinbase


def _ask_coinbase(pairs: Sequence[str]) -> str:
    return f"/v2/prices/{quote('-'.join(_parts(pairs[0])).upper(), safe='-')}/spot"


def _read_coinbase(found: Any, pair: str) -> Price:
    for error in _list(_get(found, "errors")):
        raise NoPrice(_said(_get(error, "message")))
    what, currency = (part.upper() for part in _parts(pair))
    data = step_into(found, "data")
    given = (str(_get(data, "base") or what).upper(), str(_get(data, "currency") or currency).upper())
    if given != (what, currency):
        raise NoPrice("the answer is about another pair")
    return price(step_into(data, "amount"))


# ------------------------------------------------------------------ kraken

_KRAKEN_NAMES = {"BTC": "XBT", "DOGE": "XDG"}


def _ask_kraken(pairs: Sequence[str]) -> str:
    return f"/0/public/Ticker?pair={quote(_kraken_name(pairs[0]))}"


def _kraken_name(pair: str) -> str:
    if not {*"/-"} & {*pair}:
        return pair
    return "".join(_KRAKEN_NAMES.get(part.upper(), part.upper()) for part in _parts(pair))


def _read_kraken(found: Any, pair: str) -> Price:
    for error in _list(_get(found, "error")):
        raise NoPrice(_said(error))
    result = step_into(found, "result")
    if not isinstance(result, dict) or len(result) != 1:
        raise NoPrice("the answer does not hold one pair")
    # We ask for one pair, so it is the one, whatever it is called: XBTUSD comes back as XXBTZUSD.
    return price(step_into(next(iter(result.values())), "c.0"))  # c: the last trade


# ------------------------------------------------------------------ binance


def _ask_binance(pairs: Sequence[str]) -> str:
    return f"/api/v3/ticker/price?symbol={quote(_symbol(pairs[0]))}"


def _symbol(pair: str) -> str:
    return pair.replace("/", "").replace("-", "").upper()


def _read_binance(found: Any, pair: str) -> Price:
    if _get(found, "code") is not None:
        raise NoPrice(_said(_get(found, "msg")))
    entries = found if isinstance(found, list) else [found]
    entry = next((each for each in entries if _get(each, "symbol") == _symbol(pair)), None)
    if entry is None:
        raise NoPrice("the answer is about another pair")
    name = "price" if "price" in entry else "lastPrice"  # the latter in ticker/24hr
    return price(step_into(entry, name), _get(entry, "closeTime"))


# ------------------------------------------------------------------ coingecko


def _ask_coingecko(pairs: Sequence[str]) -> str:
    ids, currencies = zip(*(_parts(pair.lower()) for pair in pairs), strict=True)
    wanted = (",".join(dict.fromkeys(each)) for each in (ids, currencies))
    names, against = (quote(each, safe=",") for each in wanted)
    return f"/api/v3/simple/price?ids={names}&vs_currencies={against}&include_last_updated_at=true"


def _read_coingecko(found: Any, pair: str) -> Price:
    status = _get(found, "status")
    if message := _get(status, "error_message") or _get(found, "error"):
        raise NoPrice(_said(message))
    what, currency = _parts(pair.lower())
    if not isinstance(entry := _get(found, what), dict):
        raise NoPrice(f"coingecko does not know {what}; use its own id, like bitcoin")
    if currency not in entry:
        raise NoPrice(f"there is no price in {currency}")
    return price(entry[currency], entry.get("last_updated_at"))


SOURCES: Mapping[str, Source] = {
    "coinbase": Source("https://api.coinbase.com", _ask_coinbase, _read_coinbase),
    "kraken": Source("https://api.kraken.com", _ask_kraken, _read_kraken),
    "binance": Source("https://api.binance.com", _ask_binance, _read_binance),
    "coingecko": Source("https://api.coingecko.com", _ask_coingecko, _read_coingecko, together=True),
}
JSON = "json"  # any other: an address, and a path into what it answers


def read_json(path: str, time_path: str) -> Read:
    """Reads a price from the place that was set, `{pair}` standing for the pair."""

    def read(found: Any, pair: str) -> Price:
        at = step_into(found, time_path.replace("{pair}", pair)) if time_path else None
        return price(step_into(found, path.replace("{pair}", pair)), at)

    return read


def _get(found: Any, name: str) -> Any:
    return found.get(name) if isinstance(found, dict) else None


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def _said(message: Any) -> str:
    """What the source says is wrong, as one line."""
    return " ".join(str(message or "an error without a word").split())[:150]
