"""Reads the dates of feeds, in any known format."""

import email.utils
import re
from datetime import UTC, datetime
from typing import Any

# The errors of parsers and dates over a strange document; they cost an item, never the feed.
ODD = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError, OSError)

# The first letters of months in English, German, French, Spanish, Italian, Portuguese and Dutch.
_ENGLISH = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MONTHS = {
    **{name.lower(): name for name in _ENGLISH},
    **dict.fromkeys(("ene", "gen"), "Jan"),
    **dict.fromkeys(("fév", "fev"), "Feb"),
    **dict.fromkeys(("mär", "mrz", "maa"), "Mar"),
    **dict.fromkeys(("avr", "abr"), "Apr"),
    **dict.fromkeys(("mai", "mag", "mei"), "May"),
    **dict.fromkeys(("juin", "giu"), "Jun"),
    **dict.fromkeys(("juil", "lug"), "Jul"),
    **dict.fromkeys(("aoû", "ago"), "Aug"),
    "set": "Sep",
    **dict.fromkeys(("okt", "ott", "out"), "Oct"),
    **dict.fromkeys(("dez", "déc", "dic"), "Dec"),
}
_MONTH = re.compile(rf"\s({'|'.join(_MONTHS)})[^\W\d]*\.?\s", re.IGNORECASE)
_WEEKDAY = re.compile(r"^[^\W\d]+\.?,?\s*(?=\d+\.?[ -])")
_MONTH_FIRST = re.compile(r"([^\W\d]{3,10})\.? (\d{1,2}),? (\d{4})\b")
_OFFSET = re.compile(r"(?:\b(?:GMT|UTC)|(?<=:\d\d)\s*)([+-])(\d\d?)(?::?(\d\d))?$")
_ZONE = re.compile(r"\b[A-Z]{3,4}$")
_ZONES = {  # those that mail does not know
    "WET": "+0000",
    **dict.fromkeys(("CET", "MEZ", "BST", "WEST"), "+0100"),
    **dict.fromkeys(("CEST", "MESZ", "EET"), "+0200"),
    **dict.fromkeys(("EEST", "MSK"), "+0300"),
    "IST": "+0530",
    **dict.fromkeys(("HKT", "SGT"), "+0800"),
    **dict.fromkeys(("JST", "KST"), "+0900"),
    **{"AEST": "+1000", "AEDT": "+1100", "NZST": "+1200", "NZDT": "+1300"},
}


def moment_of(value: Any) -> str | None:
    """A date in any known format, in UTC; None for an odd one, such as the zero date of MySQL or .NET."""
    value = _as_in_mail(value) if isinstance(value, str) else value
    for read in (_of_parts, _of_number, datetime.fromisoformat, email.utils.parsedate_to_datetime):
        try:
            found = read(value)
            moment = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        except ODD:
            continue
        return moment.isoformat(timespec="seconds") if 1 < moment.year < 9999 else None
    return None


def _as_in_mail(text: str) -> str:
    """The date as mail writes it, from other languages and orders, with its zone as a number."""
    text = text.strip()
    if re.match(r"\d{4}/\d", text):
        return text.replace("/", "-")
    text = _WEEKDAY.sub("", text)
    text = _MONTH_FIRST.sub(r"\2 \1 \3", text)
    text = _MONTH.sub(lambda found: f" {_MONTHS[found[1].lower()]} ", text)
    text = _OFFSET.sub(lambda found: f" {found[1]}{int(found[2]):02}{found[3] or '00'}", text)
    text = _ZONE.sub(lambda found: _ZONES.get(found[0], found[0]), text)
    return f"{text} 00:00" if re.fullmatch(r"\d{1,2} [^\W\d]+ \d{4}", text) else text


def _of_parts(value: Any) -> datetime:
    """The date that feedparser has read, which is in UTC."""
    if isinstance(value, str):
        raise TypeError(value)
    year, month, day, hour, minute, second = value[:6]
    return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)


def _of_number(value: Any) -> datetime:
    """The date of Unix seconds or milliseconds; a number below 1e8 is a date such as 20260302."""
    seconds = float(value)
    if seconds < 1e8:
        raise ValueError(value)
    return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
