"""Reads from the words of a refusal when the service takes requests again, in Unix seconds."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from scheduler.agents.refusals.in_english import in_english
from scheduler.agents.refusals.reset_in_headers import UNIT, ahead, moment_of, seconds_of

_AGAIN = (
    r"\b(?:resets?|again|retry|available|access|until|after|lifts?|renews?|refresh(?:es)?|ends|back"
    r"|this model)"
)
_BEFORE = rf"{_AGAIN}(?:\s+(?:at|on|by|after|from|around|today|next|the)\b|:|,)*\s+"
_EPOCH = re.compile(
    r"(?:\||\bresets?[_\s]?(?:at)?[\"']?\s*[:=]?\s*[\"']?)(\d{10}|\d{13})(?:\.\d+)?\b", re.IGNORECASE
)
# English, and the different beginnings in German, Spanish, French, Italian, Dutch and Portuguese.
_MONTHS = (
    "jan|ene|gen", "feb|fev|fév", "mar|mär|mrz|mrt|maa", "apr|abr|avr", "may|mai|mag|mei", "jun|juin|giu",
    "jul|juil|lug", "aug|ago|aoû", "sep|set", "oct|okt|out|ott", "nov", "dec|dez|dic|déc",
)  # fmt: skip
_MONTH = rf"({'|'.join(_MONTHS)})[a-zéûä]*\.?"
_CLOCK = r"(\d{1,2})(?::(\d\d))?(?::(\d\d))?\s*([ap])?\.?(?:m\b\.?)?(?!\d)"
_AT = r"(?:,|\bagain\b|\bat\b|\bum\b|\balle\b|\bà\b|\s)+"
_ISO = re.compile(
    r"(\d{4})[-/](\d\d)[-/](\d\d)(?:(?:T|\s|\bat\b)+(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?\s*(Z\b|[+-]\d\d:?\d\d)?)?"
)
_DAY, _YEAR = r"(\d{1,2})(?:st|nd|rd|th)?", r"(\d{4})"
_DATES = (
    # a time before its date, a date before its time, and a date alone; each with the names of its groups
    (rf"{_CLOCK}\s+on\s+{_MONTH} {_DAY}(?:,? {_YEAR})?", "h m s p month day year"),
    (rf"\b{_MONTH} {_DAY}(?:,? {_YEAR})?{_AT}{_CLOCK}", "month day year h m s p"),
    (rf"\b{_DAY}\.?(?: de| of)? {_MONTH}(?: de)?(?: {_YEAR})?{_AT}{_CLOCK}", "day month year h m s p"),
    (rf"\b(\d{{1,2}})\.(\d{{1,2}})\.{_YEAR}{_AT}{_CLOCK}", "day number year h m s p"),
    (rf"\b(\d{{1,2}})/(\d{{1,2}})/{_YEAR}{_AT}{_CLOCK}", "number day year h m s p"),
    (rf"(?:{_YEAR}[年년]\s*)?(\d{{1,2}})[月월]\s*(\d{{1,2}})[日일]\s*([上午下後前전후오]*)\s*(\d{{1,2}})[:：](\d\d)",
     "year number day half h m"),
    (rf"{_BEFORE}{_MONTH} {_DAY}(?:,? {_YEAR})?", "month day year"),
    (rf"{_BEFORE}{_DAY}(?: of)? {_MONTH}(?:,? {_YEAR})?", "day month year"),
    (rf"{_BEFORE}(\d{{1,2}})/(\d{{1,2}})(?:/{_YEAR})?\b", "number day year"),
)  # fmt: skip
_DATE_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), names.split()) for pattern, names in _DATES)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY = re.compile(
    rf"{_BEFORE}(mon|tue|wed|thu|fri|sat|sun)(?:s|day|sday|nesday|rs|rsday|urday)?\b\.?(?:{_AT}{_CLOCK})?",
    re.IGNORECASE,
)
_HALF_DAY, _FULL_DAY = r"(\d{1,2})(?:[:.](\d\d))?(?::(\d\d))?\s*([ap])\.?m\b", r"(\d{1,2}):(\d\d)(?::(\d\d))?"
_TIME = re.compile(rf"{_BEFORE}(tomorrow)?(?:{_AT})?(?:{_HALF_DAY}|{_FULL_DAY})", re.IGNORECASE)
_A = r"(?:\d+(?:\.\d+)?|an?(?=\s+(?:second|minute|hour|day|week)))"
_SPAN = re.compile(
    rf"(?<![a-z])(?:in|within|after|wait|retryDelay|reset(?=\W*:))[\s\"':~]*(?:(?:about|around|approximately|another|for)\s+)?"
    rf"((?:{_A}\s*{UNIT}(?![a-z_])(?:,|\s|and\b)*|\d+(?:\.\d+)?{UNIT}(?=\d))+)",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\b(?:retry|resets?)[-_ ]?(?:after|delay|in)[-_ ]?(ms|millis)?(?:s|secs|seconds)?"
    r"(?:[\"']?\s*[:=]\s*[\"']?|(?<=[-_]after)\s+)"
    rf"(\d+(?:\.\d+)?)\b(?![\d.]*\s*{UNIT}\b)(?!\.?\d)",
    re.IGNORECASE,
)
_LEFT = re.compile(r"\bin (?:(\d+) days?,? )?(\d{1,3}):(\d\d):(\d\d)\b", re.IGNORECASE)
_ZONE = re.compile(r"\b([A-Z][A-Za-z_]+(?:/[A-Za-z_+-]+\d*){1,2})")
_OFFSET = re.compile(r"\b(?:UTC|GMT)(?:\s?([+-])(\d{1,2})(?::?(\d\d))?)?\b")
_SHORT = {
    **dict.fromkeys(("PT", "PST", "PDT", "Pacific"), "America/Los_Angeles"),
    **dict.fromkeys(("MT", "MST", "MDT", "Mountain"), "America/Denver"),
    **dict.fromkeys(("CT", "CST", "CDT", "Central"), "America/Chicago"),
    **dict.fromkeys(("ET", "EST", "EDT", "Eastern"), "America/New_York"),
    **dict.fromkeys(("CET", "CEST"), "Europe/Berlin"),
    "BST": "Europe/London",
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
    "KST": "Asia/Seoul",
    **dict.fromkeys(("AEST", "AEDT"), "Australia/Sydney"),
    **dict.fromkeys(("NZST", "NZDT"), "Pacific/Auckland"),
    **dict.fromkeys(("EET", "EEST"), "Europe/Athens"),
    **dict.fromkeys(("WET", "WEST"), "Europe/Lisbon"),
    "MSK": "Europe/Moscow",
    "SGT": "Asia/Singapore",
    "HKT": "Asia/Hong_Kong",
    "BRT": "America/Sao_Paulo",
}
_SHORT_ZONE = re.compile(rf"(?:\d|[AaPp]\.?[Mm]\.?)\s*\(?({'|'.join(_SHORT)})\b")


def moment_in_text(text: str, now: float, zone: tzinfo, *, spans: bool = True) -> float | None:
    """The moment that the text names: an epoch, a date, a weekday or a clock time in its zone, or a span."""
    text = in_english(text)
    zone = _zone_in(text) or zone
    readers: tuple[Callable[[str, float, tzinfo], Iterable[float | None]], ...]
    readers = (_epoch, _iso, _date, _weekday, _time, *((_number, _span) if spans else ()))
    moments = (moment for read in readers for moment in read(text, now, zone))
    return next(filter(None, moments), None)


def _zone_in(text: str) -> tzinfo | None:
    for name in _ZONE.findall(text):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    if found := _OFFSET.search(text):
        hours, minutes = int(found[2] or 0), int(found[3] or 0)
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if found[1] == "-" else 1)
        return timezone(offset) if hours < 24 and minutes < 60 else None
    short = _SHORT_ZONE.search(text)
    return ZoneInfo(_SHORT[short[1]]) if short else None


def _epoch(text: str, now: float, zone: tzinfo) -> Iterator[float | None]:
    for found in _EPOCH.finditer(text):
        yield moment_of(float(found[1]), now)


def _iso(text: str, now: float, zone: tzinfo) -> Iterator[float | None]:
    for found in _ISO.finditer(text):
        date, offset = [int(each or 0) for each in found.groups()[:6]], found[7]
        try:
            if offset:
                moment = datetime(*date, tzinfo=UTC)  # type: ignore[arg-type,misc]
                yield ahead(datetime.fromisoformat(f"{moment:%Y-%m-%dT%H:%M:%S}{offset}"), now)
            else:
                yield _first_ahead([tuple(date)], zone, now)
        except ValueError:
            continue


def _date(text: str, now: float, zone: tzinfo) -> Iterator[float | None]:
    """The moment of a month and a day, with a year or else at the next such date."""
    for pattern, names in _DATE_PATTERNS:
        for found in pattern.finditer(text):
            of = dict(zip(names, found.groups(), strict=True))
            half = of.get("p") or ("p" if set("下後후") & set(of.get("half") or "") else "")
            clock = _clock(of.get("h"), of.get("m"), of.get("s"), half)
            month = int(of["number"] or 0) if "number" in of else _month(of["month"] or "")
            this_year = datetime.fromtimestamp(now, zone).year
            years = [int(of["year"])] if of["year"] else [this_year, this_year + 1]
            yield _first_ahead([(year, month, int(of["day"] or 0), *clock) for year in years], zone, now)


def _month(word: str) -> int:
    return next(n for n, names in enumerate(_MONTHS, 1) if word.lower() in names.split("|"))


def _weekday(text: str, now: float, zone: tzinfo) -> Iterator[float | None]:
    for found in _WEEKDAY.finditer(text):
        yield _next_clock(_clock(*found.groups()[1:5]), now, zone, _WEEKDAYS.index(found[1].lower()))


def _time(text: str, now: float, zone: tzinfo) -> Iterator[float | None]:
    for found in _TIME.finditer(text):
        tomorrow, *clock, hour, minute, second = found.groups()
        if hour:
            clock = [hour, minute, second, None]
        if tomorrow:
            day = datetime.fromtimestamp(now, zone).date() + timedelta(days=1)
            yield _first_ahead([(day.year, day.month, day.day, *_clock(*clock))], zone, now)
        yield _next_clock(_clock(*clock), now, zone)


Clock = tuple[int, int, int]


def _clock(hour: str | None, minute: str | None, second: str | None, half: str | None) -> Clock:
    """Hours, minutes and seconds; 12am is midnight, 12pm is noon; no hour means midnight."""
    number = int(hour or 0)
    if half:
        number = number % 12 + (12 if half.lower() == "p" else 0)
    return number, int(minute or 0), int(second or 0)


def _next_clock(clock: Clock, now: float, zone: tzinfo, weekday: int | None = None) -> float | None:
    """The next moment at which the zone's clock shows this time, on this weekday if one is given."""
    today = datetime.fromtimestamp(now, zone).date()
    days = [today + timedelta(days=n) for n in range(9)]
    wanted = [day for day in days if weekday is None or day.weekday() == weekday]
    return _first_ahead([(day.year, day.month, day.day, *clock) for day in wanted], zone, now)


def _number(text: str, now: float, zone: tzinfo) -> Iterator[float | None]:
    for found in _NUMBER.finditer(text):
        yield moment_of(float(found[2]) / (1000 if found[1] else 1), now)


def _span(text: str, now: float, zone: tzinfo) -> Iterator[float | None]:
    for found in _LEFT.finditer(text):
        days, hours, minutes, seconds = (int(each or 0) for each in found.groups())
        yield moment_of(((days * 24 + hours) * 60 + minutes) * 60.0 + seconds, now)
    for found in _SPAN.finditer(text):
        yield moment_of(seconds_of(found[1]), now)


def _first_ahead(dates: Iterable[tuple[int, ...]], zone: tzinfo, now: float) -> float | None:
    """The first of these dates that is ahead; an hour comes twice when clocks go back."""
    for date in dates:
        for fold in (0, 1):
            try:
                moment = ahead(datetime(*date, tzinfo=zone, fold=fold), now)  # type: ignore[arg-type,misc]
            except ValueError:  # 29 February, or hour 25
                continue
            if moment:
                return moment
    return None
