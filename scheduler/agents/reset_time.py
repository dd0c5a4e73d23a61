"""When a service takes requests again: from headers, or from the words of its refusal.

All moments are Unix seconds. A moment that cannot be right (0, -1, the past, years ahead) counts as none.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LONGEST = 400 * 86400.0  # seconds: what lies further ahead is not believed
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_UNIT = r"(?:ms|milliseconds?|w(?:eeks?)?|d(?:ays?)?|h(?:(?:ou)?rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)"
_PART = re.compile(rf"(\d+(?:\.\d+)?)\s*({_UNIT})(?![a-z])", re.IGNORECASE)
_SPAN = re.compile(
    rf"(?:\bin|\bafter|\bretryDelay)[\s\"':]*((?:\d+(?:\.\d+)?\s*{_UNIT}(?![a-z_])(?:,|\s|and\b)*|"
    rf"\d+(?:\.\d+)?{_UNIT}(?=\d))+)",
    re.IGNORECASE,
)
_EPOCH = re.compile(r"(?:\||\bresets?_?at[\"']?\s*[:=]\s*)(\d{10,13})\b", re.IGNORECASE)
# English, and the months whose first letters differ in German, Spanish, French, Italian and Portuguese.
_MONTHS = (
    "jan|ene|gen", "feb|fev|fév", "mar|mär|mrz", "apr|abr|avr", "may|mai|mag", "jun|juin|giu",
    "jul|juil|lug", "aug|ago|aoû", "sep|set", "oct|okt|out|ott", "nov", "dec|dez|dic|déc",
)  # fmt: skip
_MONTH = rf"({'|'.join(_MONTHS)})[a-zéûä]*\.?"
_CLOCK = r"(\d{1,2})(?::(\d\d))?(?::\d\d)?\s*([ap])?\.?(?:m\b\.?)?"
_AT = r"(?:,|\bat\b|\bum\b|\balle\b|\bà\b|\s)+"
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T|\s|\bat\b)+(\d\d):(\d\d)(?::\d\d(?:\.\d+)?)?\s*(Z\b|[+-]\d\d:?\d\d)?"
)
_MONTH_FIRST = re.compile(
    rf"\b{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?(?:,? (\d{{4}}))?{_AT}{_CLOCK}", re.IGNORECASE
)
_DAY_FIRST = re.compile(
    rf"\b(\d{{1,2}})\.?(?: de)? {_MONTH}(?: de)?(?: (\d{{4}}))?{_AT}{_CLOCK}", re.IGNORECASE
)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY = re.compile(rf"\b({'|'.join(_WEEKDAYS)})[a-z]*{_AT}{_CLOCK}", re.IGNORECASE)
_BEFORE = r"(?:resets?|again after|retry at|until|at)"
_HALF_DAY, _FULL_DAY = r"(\d{1,2})(?::(\d\d))?\s*([ap])\.?m\b", r"(\d{1,2}):(\d\d)"
_TIME = re.compile(rf"{_BEFORE}\s+(?:{_HALF_DAY}|{_FULL_DAY})", re.IGNORECASE)
_ZONE = re.compile(r"\(?\b([A-Z][A-Za-z_]+(?:/[A-Za-z_+-]+\d*){1,2}|UTC|GMT)\b\)?")


def moment_of(number: float, now: float) -> float | None:
    """The moment that a bare number means: epoch seconds or milliseconds, else seconds from now."""
    if number > 1e11:
        number /= 1000
    moment = number if number > 1e9 else now + number
    return moment if now < moment < now + _LONGEST else None


# ------------------------------------------------------------------ headers


def moment_in_headers(headers: Mapping[str, str], now: float) -> float | None:
    """`Retry-After` before the reset of whatever has nothing left; the latest, if several have nothing."""
    if (finer := _number(headers.get("retry-after-ms", ""))) and (moment := moment_of(finer / 1000, now)):
        return moment
    if moment := _moment_in_value(headers.get("retry-after", ""), now):
        return moment
    exhausted = [_moment_in_value(headers.get(reset, ""), now) for reset in _exhausted(headers)]
    return max(filter(None, exhausted), default=None)


def _exhausted(headers: Mapping[str, str]) -> Iterator[str]:
    """The names of the reset headers of windows with nothing left."""
    for name, value in headers.items():
        if "remaining" in name and _number(value) == 0:
            yield name.replace("remaining", "reset")
        if name.endswith("-used-percent") and (_number(value) or 0) >= 100:
            yield name.replace("used-percent", "reset-at")
    if "anthropic-ratelimit-unified-reset" in headers:
        yield "anthropic-ratelimit-unified-reset"


def _moment_in_value(value: str, now: float) -> float | None:
    """A header's value: seconds, an epoch, a span (1h2m3s), an ISO time, or an HTTP date."""
    value = value.strip()
    if (number := _number(value)) is not None:
        return moment_of(number, now)
    if (seconds := _seconds(value)) and re.fullmatch(rf"(?:\d+(?:\.\d+)?{_UNIT})+", value):
        return moment_of(seconds, now)
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            date = read(value)
        except ValueError:
            continue
        return _ahead(date if date.tzinfo else date.replace(tzinfo=UTC), now)
    return None


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d{1,15}(?:\.\d+)?", text.strip()) else None


# ------------------------------------------------------------------ words


def moment_in_text(text: str, now: float, zone: tzinfo, *, spans: bool = True) -> float | None:
    """The moment that the text names: an epoch, a date, a weekday or a clock time in its zone, or a span."""
    zone = _zone_in(text) or zone
    readers: tuple[Callable[[str, float, tzinfo], float | None], ...] = (_epoch, _iso, _date, _weekday, _time)
    moments = (read(text, now, zone) for read in (*readers, *((_span,) if spans else ())))
    return next(filter(None, moments), None)


def _zone_in(text: str) -> tzinfo | None:
    for name in _ZONE.findall(text):
        try:
            return UTC if name in ("UTC", "GMT") else ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            continue
    return None


def _epoch(text: str, now: float, zone: tzinfo) -> float | None:
    found = _EPOCH.search(text)
    return moment_of(float(found[1]), now) if found else None


def _iso(text: str, now: float, zone: tzinfo) -> float | None:
    if not (found := _ISO.search(text)):
        return None
    year, month, day, hour, minute = map(int, found.groups()[:5])
    offset = found[6]
    try:
        date = datetime(year, month, day, hour, minute, tzinfo=zone)
        return _ahead(date if not offset else datetime.fromisoformat(f"{date:%Y-%m-%dT%H:%M}{offset}"), now)
    except ValueError:
        return None


def _date(text: str, now: float, zone: tzinfo) -> float | None:
    """A month and a day, maybe a year: without one, the next such date."""
    for pattern, order in ((_MONTH_FIRST, (0, 1, 2)), (_DAY_FIRST, (1, 0, 2))):
        if found := pattern.search(text):
            month, day, year = (found.groups()[index] for index in order)
            clock = _clock(*found.groups()[3:6])
            number = next(n for n, names in enumerate(_MONTHS, 1) if month.lower() in names.split("|"))
            this_year = datetime.fromtimestamp(now, zone).year
            years = [int(year)] if year else [this_year, this_year + 1]
            return _first_ahead([(each, number, int(day), *clock) for each in years], zone, now)
    return None


def _weekday(text: str, now: float, zone: tzinfo) -> float | None:
    if not (found := _WEEKDAY.search(text)):
        return None
    return _next_clock(_clock(*found.groups()[1:4]), now, zone, _WEEKDAYS.index(found[1].lower()))


def _time(text: str, now: float, zone: tzinfo) -> float | None:
    if not (found := _TIME.search(text)):
        return None
    hour, minute, half, hour_24, minute_24 = found.groups()
    return _next_clock(_clock(hour or hour_24, minute or minute_24, half), now, zone)


def _clock(hour: str, minute: str | None, half: str | None) -> tuple[int, int]:
    """Hours and minutes; 12am is midnight, 12pm is noon."""
    number = int(hour)
    if half:
        number = number % 12 + (12 if half.lower() == "p" else 0)
    return number, int(minute or 0)


def _next_clock(clock: tuple[int, int], now: float, zone: tzinfo, weekday: int | None = None) -> float | None:
    """When the zone's clock shows this next, on this day of the week if there is one."""
    today = datetime.fromtimestamp(now, zone).date()
    days = [today + timedelta(days=n) for n in range(9)]
    wanted = [day for day in days if weekday is None or day.weekday() == weekday]
    return _first_ahead([(day.year, day.month, day.day, *clock) for day in wanted], zone, now)


def _span(text: str, now: float, zone: tzinfo) -> float | None:
    found = _SPAN.search(text)
    return moment_of(_seconds(found[1]), now) if found else None


def _seconds(text: str) -> float:
    parts = _PART.findall(text) or re.findall(rf"(\d+(?:\.\d+)?)({_UNIT})", text)
    return sum(float(number) * _unit(unit) for number, unit in parts)


def _unit(word: str) -> float:
    return _UNITS["ms" if word.lower().startswith(("ms", "milli")) else word[0].lower()]


def _first_ahead(dates: Iterable[tuple[int, int, int, int, int]], zone: tzinfo, now: float) -> float | None:
    for year, month, day, hour, minute in dates:
        try:
            date = datetime(year, month, day, hour, minute, tzinfo=zone)
        except ValueError:  # 29 February, or an hour of 25
            continue
        if moment := _ahead(date, now):
            return moment
    return None


def _ahead(date: datetime, now: float) -> float | None:
    moment = date.timestamp()
    return moment if now < moment < now + _LONGEST else None
