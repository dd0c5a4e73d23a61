"""The sources of prices: what to request from each, and how to read an exact price in its answer."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from scheduler.handlers.price_monitor.options import Options

_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,2})?", re.ASCII)
_MILLISECONDS = 1e11  # a Unix time above this is in milliseconds
# The keys of a message; the last three are Alpha Vantage's.
_MESSAGES = (
    "message",
    "msg",
    "error",
    "error_message",
    "description",
    "Note",
    "Information",
    "Error Message",
)
AHEAD = 300.0  # seconds by which a source's clock may be fast


class NoPrice(ValueError):
    """There is no price; the text is the reason in one line."""


class Number(str):
    """A JSON number as it was written, since a float would not be exact."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Price:
    """A price above 0: its value, its original text, and its time if the source gives one."""

    value: Decimal
    text: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A source of prices: `ask` makes the path for some pairs, `read` finds one pair in the document."""

    endpoint: str
    ask: Callable[[Sequence[str]], str]
    read: Callable[[Any, str], Price]
    together: bool = False  # one request serves all pairs


def source_of(options: Options) -> Source:
    """The source that the settings choose."""
    if options.source != "json":
        known = SOURCES[options.source]
        return replace(known, endpoint=(options.endpoint or known.endpoint).rstrip("/"))

    def ask(pairs: Sequence[str]) -> str:
        return options.url.replace("{pair}", quote(pairs[0], safe=""))

    def read(found: Any, pair: str) -> Price:
        path, time_path = (each.replace("{pair}", pair) for each in (options.path, options.time_path))
        return price(step_into(found, path), step_into(found, time_path) if time_path else None)

    return Source("", ask, read, together="{pair}" not in options.url)


# ------------------------------------------------------------------ reading a document


def document(body: bytes) -> Any:
    """The JSON in an answer, its numbers as text; raises NoPrice."""
    if body.lstrip()[:1] == b"<":
        raise NoPrice("a web page (HTML) came instead of JSON")
    try:
        return json.loads(body, parse_float=Number, parse_int=Number, parse_constant=Number)
    except (ValueError, RecursionError) as error:
        raise NoPrice("the answer is invalid JSON" if body.strip() else "the answer is empty") from error


def price(found: Any, at: Any = None) -> Price:
    """The value as a price of the time `at`; raises NoPrice unless it is a number above 0."""
    if found is None:
        raise NoPrice("the price is null")
    text = found.strip() if isinstance(found, str) else ""
    if text.lower().lstrip("+-") in ("nan", "snan", "inf", "infinity"):
        raise NoPrice("the price is not finite")
    if not _NUMBER.fullmatch(text):
        raise NoPrice("the price is not a number")
    value = Decimal(text)
    if value <= 0:
        raise NoPrice("the price is negative" if value < 0 else "the price is 0")
    return Price(value, text, _moment(at))


def _moment(value: Any) -> float | None:
    """The Unix seconds of a time in seconds, milliseconds or ISO format; None for anything else."""
    if isinstance(value, Number) and _NUMBER.fullmatch(value):
        seconds = float(value)
        return seconds / 1000 if seconds > _MILLISECONDS else seconds
    try:
        found = datetime.fromisoformat(str(value))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def fresh(price: Price, now: float, stale: float) -> Price:
    """Return the price; raises NoPrice if it is older than `stale` seconds, or from the future."""
    if price.at is None:
        return price
    if now - price.at > stale:
        raise NoPrice(f"the price is stale: from {_when(price.at)}")
    if price.at - now > AHEAD:
        raise NoPrice(f"the price is from the future: {_when(price.at)}")
    return price


def _when(at: float) -> str:
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return "an invalid time"


def step_into(found: Any, path: str) -> Any:
    """The value at `path`, such as `data.0.amount`; raises NoPrice, which names the missing step."""
    walked, whole = list[str](), found
    for step in path.split("."):
        walked.append(step)
        if isinstance(found, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(found):
            found = found[int(step)]
        elif isinstance(found, dict) and step in found:
            found = found[step]
        else:
            raise NoPrice(f"there is no {'.'.join(walked)} in the answer{_what_it_says(whole)}")
    return found


def _what_it_says(whole: Any) -> str:
    """The message that came instead of a price, if any: many sources report errors as successes."""
    outer = [each for each in whole.values() if isinstance(each, dict)] if isinstance(whole, dict) else []
    inner = [each for found in outer for each in found.values()]
    named = (_get(found, name) for found in (whole, *outer, *inner) for name in _MESSAGES)
    words = next((each for each in named if isinstance(each, str) and each.strip()), "")
    return f"; it says: {' '.join(words.split())[:150]}" if words else ""


def _get(found: Any, name: str) -> Any:
    return found.get(name) if isinstance(found, dict) else None


def _raise_first(errors: Any, name: str = "") -> None:
    """Raise the first error in a source's list of them."""
    if isinstance(errors, list) and errors:
        raise _reported(_get(errors[0], name) if name else errors[0])


def _reported(message: Any) -> NoPrice:
    """The source's own error, as one line."""
    return NoPrice(" ".join(str(message or "an error without a message").split())[:150])


def _parts(pair: str) -> tuple[str, str]:
    """The two parts of `BTC/USD` or `BTC-USD`: what, and in which currency."""
    what, _, currency = pair.rpartition("/" if "/" in pair else "-")
    if not what or not currency:
        raise NoPrice('a pair has two sides; write it like "BTC/USD"')
    return what, currency


# ------------------------------------------------------------------ coinbase


def _ask_coinbase(pairs: Sequence[str]) -> str:
    return f"/v2/prices/{quote('-'.join(_parts(pairs[0])).upper(), safe='-')}/spot"


def _read_coinbase(found: Any, pair: str) -> Price:
    _raise_first(_get(found, "errors"), "message")
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
    _raise_first(_get(found, "error"))
    result = step_into(found, "result")
    if not isinstance(result, dict) or len(result) != 1:
        raise NoPrice("the answer does not hold one pair")
    # Only this pair was requested, so any name is right: XBTUSD comes back as XXBTZUSD.
    return price(step_into(next(iter(result.values())), "c.0"))  # c: the last trade


# ------------------------------------------------------------------ binance


def _ask_binance(pairs: Sequence[str]) -> str:
    return f"/api/v3/ticker/price?symbol={quote(_symbol(pairs[0]))}"


def _symbol(pair: str) -> str:
    return pair.replace("/", "").replace("-", "").upper()


def _read_binance(found: Any, pair: str) -> Price:
    if _get(found, "code") is not None:
        raise _reported(_get(found, "msg"))
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
    if message := _get(_get(found, "status"), "error_message") or _get(found, "error"):
        raise _reported(message)
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
