"""Reads the dates of feeds, in any known format."""

import email.utils
from datetime import UTC, datetime
from typing import Any

# The errors of parsers and dates over a strange document; they cost an item, never the feed.
ODD = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError, OSError)


def moment_of(value: Any) -> str | None:
    """A date in any known format, in UTC; None for an odd one, such as the zero date of MySQL or .NET."""
    for read in (_of_parts, _of_number, datetime.fromisoformat, email.utils.parsedate_to_datetime):
        try:
            found = read(value)
            moment = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        except ODD:
            continue
        return moment.isoformat(timespec="seconds") if 1 < moment.year < 9999 else None
    return None


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
