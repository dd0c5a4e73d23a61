"""Reads one value of the settings; an invalid one raises InvalidValue with the error and the fix.

No pydantic here, only its models name these readers: a process that runs one handler need not import it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from scheduler.core.schedules.schedule import LONGEST, NEVER, duration
from scheduler.core.secrets import Sensitive, holds_sensitive
from scheduler.core.task import Group
from scheduler.errors import BadSchedule
from scheduler.system.homes import NAME

T = TypeVar("T")
U = TypeVar("U")

# For JSON Schema: text with a ${NAME} in it may stand for a number or a boolean.
_SECRET = {"type": "string", "pattern": r"\$\{"}
MOST_DOLLARS = 10**9
_DURATION = {"type": "string", "pattern": r"^\s*(\d+(\.\d+)?\s*[A-Za-z]*\s*)+$|\$\{"}


class InvalidValue(ValueError):
    """Why a value cannot be used, as `what is wrong; the fix`."""


@dataclass(frozen=True, slots=True)
class Reader(Generic[T]):
    """Annotates a key: how pydantic reads its value, and its JSON Schema."""

    read: Callable[[Any], T]
    schema: Mapping[str, Any] | Callable[[Any], dict[str, Any]]  # or a function from pydantic's handler to it
    is_duration: bool = False

    def __call__(self, value: Any) -> T:
        try:
            return self.read(value)
        except BadSchedule as error:  # pydantic reports only ValueErrors
            raise InvalidValue(str(error)) from error

    def variant(self, read: "Callable[[Any], U]") -> "Reader[U]":
        """Decorate another reader for the same values."""
        return Reader(read, self.schema, self.is_duration)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic import PlainValidator

        return PlainValidator(self).__get_pydantic_core_schema__(Any, handler)

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        found = self.schema(handler) if callable(self.schema) else dict(self.schema)
        return {**found, "x-duration": True} if self.is_duration else found


def reads(**schema: Any) -> Callable[[Callable[[Any], T]], Reader[T]]:
    """Decorate a reader; `schema` is the JSON Schema of its input."""
    return lambda read: Reader(read, schema)


def reads_list(**items: Any) -> Callable[[Callable[[Any], T]], Reader[T]]:
    """Decorate a reader of a list of texts; `items` is the JSON Schema of each."""
    return reads(type="array", items={"type": "string", **items})


def reason(value: Any, error: object) -> str:
    """The text of `error`, unless part of the value may be a secret: then the error might quote it."""
    if holds_sensitive(value):
        return "its value, which comes from the environment or .env, cannot be used here"
    return str(error)


_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "a number"),
    (float, "a number"),
    (str, "text"),
    (list, "a list"),
    (dict, "a table"),
)


def type_name(value: Any) -> str:
    return next((name for each, name in _KINDS if isinstance(value, each)), "a date or time")


def listed(value: Any, example: str) -> list[Any]:
    """`value` if it is a list; raises InvalidValue."""
    if not isinstance(value, list):
        raise InvalidValue(f"is {type_name(value)}; write it as a list, like {example}")
    return value


# ------------------------------------------------------------------ readers


@reads(type="string")
def text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidValue(f"is {type_name(value)}; write it as text, in quotes")
    if "\0" in value:
        raise InvalidValue("contains a NUL character; remove it")
    return value


def one_of(words: Sequence[str], wrong: str = "{value!r} is none of: {words}") -> Reader[str]:
    """A reader for one of these words; `wrong` is the message for any other."""

    @reads(type="string", enum=list(words))
    def read_word(value: Any) -> str:
        if text(value) not in words:
            raise InvalidValue(wrong.format(value=value, words=", ".join(words)))
        return str(value)

    return read_word


def name_of(what: str, example: str) -> Reader[str]:
    """A reader for names that become part of a file name or of a database channel."""

    @reads(type="string", pattern=f"^{NAME.pattern}$")
    def read_name(value: Any) -> str:
        if not NAME.fullmatch(text(value)):
            raise InvalidValue(f"{value!r} is no name of a {what}; use a-z, 0-9, _ and -, like {example}")
        return str(value)

    return read_name


@reads(type="string")
def secret(value: Any) -> Sensitive:
    """Text that no repr, log or screen shows, wherever it is set."""
    return Sensitive(text(value))


@reads(anyOf=[{"type": "boolean"}, _SECRET])
def flag(value: Any) -> bool:
    if isinstance(value, Sensitive):
        value = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            value.lower()
        )
    if not isinstance(value, bool):
        raise InvalidValue(f"is {type_name(value)}; write true or false")
    return value


def integer(low: int, high: int) -> Reader[int]:
    """A reader for a whole number from `low` to `high`."""

    @reads(anyOf=[{"type": "integer", "minimum": low, "maximum": high}, _SECRET])
    def read_whole(value: Any) -> int:
        if isinstance(value, Sensitive) and re.fullmatch(r"-?\d{1,9}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidValue(f"is {type_name(value)}; write a whole number")
        if not low <= value <= high:
            raise InvalidValue(f"is {value}; write a number from {low} to {high}")
        return value

    return read_whole


def seconds(low: float = 0.0) -> Reader[float]:
    """A reader for a duration of at least `low` seconds: a number, or words like "5m"."""

    def read_seconds(value: Any) -> float:
        if not isinstance(value, int | float | str) or isinstance(value, bool):
            raise InvalidValue(f'is {type_name(value)}; write a duration, like "5m" or 300')
        length = duration(value)
        if not low <= length < NEVER:
            raise InvalidValue(f"is {value!r}; write at least {low:g} seconds")
        return length

    return Reader(read_seconds, {"anyOf": [_DURATION, {"type": "number", "minimum": low}]}, is_duration=True)


def time_limit(low: float) -> Reader[float]:
    """A reader for a duration, or "none" for LONGEST."""
    plain, words = seconds(low), [{"enum": ["none"]}, _DURATION, {"type": "number", "minimum": low}]

    def read_limit(value: Any) -> float:
        return LONGEST if value == "none" else plain.read(value)

    return Reader(read_limit, {"anyOf": words}, is_duration=True)


@reads(anyOf=[{"type": "number", "minimum": 0.0}, _SECRET])
def number(value: Any) -> float:
    """A number, 0 or more."""
    if isinstance(value, Sensitive) and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidValue(f"is {type_name(value)}; write a number")
    if not 0 <= value < NEVER:
        raise InvalidValue(f"is {value}; write a number of at least 0")
    return float(value)


@reads(type="number", exclusiveMinimum=0, maximum=MOST_DOLLARS)
def dollars(value: Any) -> Decimal:
    """An amount in US dollars above 0, exactly as written."""
    amount = _dollars(value)
    if amount <= 0:
        raise InvalidValue(f"is {value}; write an amount above 0")
    return amount


@reads(type="number", minimum=0, maximum=MOST_DOLLARS)
def dollars_or_nothing(value: Any) -> Decimal:
    """An amount in US dollars, exactly as written."""
    amount = _dollars(value)
    if amount < 0:
        raise InvalidValue(f"is {value}; write an amount from 0 on")
    return amount


def _dollars(value: Any) -> Decimal:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidValue(f"is {type_name(value)}; write dollars as a number, like 2.5")
    if not abs(value) <= MOST_DOLLARS:
        raise InvalidValue(f"is {value}; write an amount up to {MOST_DOLLARS:,}")
    return Decimal(str(value))


@reads(
    anyOf=[
        {"type": "number", "minimum": 0, "maximum": 100},
        {"type": "string", "pattern": r"^\s*\d{1,3}(\.\d{1,9})?\s*%?\s*$|\$\{"},
    ]
)
def percent(value: Any) -> float:
    """A percentage, as 90 or "90%"."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,9})?)\s*%?", value.strip()) if isinstance(value, str) else None
    share = float(match[1]) if match else value
    if not isinstance(share, int | float) or isinstance(share, bool):
        raise InvalidValue('is not a percentage; write per cent, like 90 or "90%"')
    if not 0 < share <= 100:
        raise InvalidValue(f"is {share:g}; write per cent, above 0 and up to 100")
    return float(share)


@reads(type="array", items={"type": "string"}, minItems=1)
def argv_of(value: Any) -> tuple[str, ...]:
    """A command: the program and its arguments."""
    if isinstance(value, str):
        raise InvalidValue(
            'is text; write it as a list, like ["python3", "report.py"] (or ["sh", "-c", "..."])'
        )
    if not isinstance(value, list) or not value:
        raise InvalidValue('write it as a list, like ["python3", "report.py"]')
    argv = tuple(text(word) for word in value)
    if not argv[0].strip():
        raise InvalidValue("names no program; put it first in the list")
    return argv


@reads(type="object", additionalProperties={"type": "string"})
def pairs(value: Any) -> dict[str, str]:
    """A table of environment variables."""
    if not isinstance(value, dict):
        raise InvalidValue(f'is {type_name(value)}; write it as a table, like {{ LANG = "C" }}')
    for name in value:
        if not name or "=" in name or "\0" in name:
            raise InvalidValue(f"{name!r} is not a name for a variable; leave out '=' and NUL")
    return {name: text(each) for name, each in value.items()}


@reads(type="object")
def document(value: Any) -> dict[str, Any]:
    """A table of JSON values: text, numbers, true and false, lists and tables."""
    if not isinstance(value, dict):
        raise InvalidValue(f"is {type_name(value)}; write it as a table, like {{ limit = 10 }}")
    _check_plain(value)
    return value


def _check_plain(value: Any) -> None:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _check_plain(each)
    elif not isinstance(value, str | int | float):
        raise InvalidValue(f"holds {type_name(value)}; write it as text, in quotes")


@pairs.variant
def secret_pairs(value: Any) -> dict[str, Sensitive]:
    """A table whose values are never shown in a repr, a log or on screen."""
    return {name: Sensitive(each) for name, each in pairs(value).items()}


@reads(type="string")
def group(value: Any) -> Group | None:
    """A user group of this machine; None if the name is empty."""
    if not (name := text(value)):
        return None
    try:
        import grp

        return Group(name, grp.getgrnam(name).gr_gid)
    except ImportError as error:
        raise InvalidValue("needs groups of users, which this system does not have; remove it") from error
    except KeyError as error:
        raise InvalidValue(f"there is no group {name!r} here; create it, or correct the name") from error


@reads(type="string")
def path(value: Any) -> Path:
    """An absolute path; `~` stands for the user's home."""
    try:
        found = Path(text(value)).expanduser()
    except RuntimeError as error:
        raise InvalidValue("names the home of an unknown user; write the whole path") from error
    if not found.is_absolute():
        raise InvalidValue('is not an absolute path; write it from the start, like "/srv/citizens"')
    return found


Text = Annotated[str, text]
Flag = Annotated[bool, flag]
