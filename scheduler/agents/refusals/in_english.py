"""Writes the times in a refusal the English way, whatever the language of the service or its user."""

import re
import unicodedata
from collections.abc import Callable

_UNITS = {
    "seconds": r"sekunden?|secondes?|segundos?|second[oi]|seconden|секунд\w*|秒間?|초",
    "minutes": r"minuten?|minutos?|minut[oi]|minuut|минут\w*|分[钟鐘間]?|분",
    "hours": r"stunden?|heures?|horas?|or[ae]|uur|uren|час\w*|[小]?时|小時|時間|시간",
    "days": r"tage?n?|jours?|d[ií]as?|giorn[oi]|dag(?:en)?|дн\w+|день|天|日間",
    "weeks": r"wochen?|semaines?|semanas?|settiman[ae]|wek?en|недел\w+|[周週]間?|주일?",
}
_NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_UNIT = "(?:seconds?|minutes?|hours?|days?|weeks?)"
_SPAN = rf"\d+(?:[.,]\d+)? {_UNIT}"
_CLOCK = r"(\d{1,2})(?:[:.h](\d\d))?"
_AT = r"(?:um|ab|à|a las?|alle|às|om|в|после)"
_PERIOD = re.compile(r"\bP(?=\d|T\d)(?:(\d+)D)?T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?\b")
_MORNING, _NOON = "上午|午前|오전", "下午|午後|오후"

Meaning = str | Callable[[re.Match[str]], str]


def _clock(found: re.Match[str]) -> str:
    return f" again at {found[1]}:{found[2] or '00'}"


def _half_day(found: re.Match[str]) -> str:
    return f" again at {found[2]}:{found[3]} {'a' if re.match(_MORNING, found[1]) else 'p'}m "


def _period(found: re.Match[str]) -> str:
    """The span that ISO 8601 writes as P1DT2H3M4S."""
    return " ".join(f"{number}{unit}" for number, unit in zip(found.groups(), "dhms", strict=True) if number)


_MEANINGS: tuple[tuple[str, Meaning], ...] = (
    *((rf"(\d)\s*[个個]?(?:{words})(?![a-zà-ӿ])", rf"\1 {unit} ") for unit, words in _UNITS.items()),
    *((rf"\b{word} (?={_UNIT})", f"{number} ") for number, word in enumerate(_NUMBERS, 1)),
    (r"\bhalf an hour\b", "30 minutes"),
    (r"\bless than (?=an? |\d)", ""),
    (rf"({_SPAN})\s*(?:und|et|y|e|en|и)\s+(?=\d)", r"\1 and "),
    (rf"\b(?:dans|en|tra|fra|em|over|через|dentro de|innerhalb von|binnen)\s+(?={_SPAN})", "in "),
    (rf"((?:{_SPAN}[\s,]*(?:and )?)+)(?:之后|以后|以後|[後后]|후|뒤)", r"in \1"),
    (r"\bnoon\b", "12pm"),
    (r"\bmidnight\b", "12am"),
    (r"\b(?:morgen|demain|mañana|domani|amanhã|завтра)\b|明天|明日|내일", " again tomorrow"),
    (rf"(?<![日일])(?<![日일] )({_MORNING}|{_NOON})\s*(\d{{1,2}}):(\d\d)", _half_day),
    (
        rf"(?<![/.\d])\b{_AT}\s+{_CLOCK}\b(?!\d)(?:\s*(?:uhr|uur|h)\b)?",
        _clock,
    ),
    (r"(?<![日일午전후])(?<![日일午전후] )\b(\d{1,2}):(\d\d)\s*(?=に|以降|から|에|之?[後后])", _clock),
    (r"\btomorrow\s+again at\b", "tomorrow at"),
    (r"(\d:\d\d(?::\d\d)?(?:\s*[ap]m)?) ([+-]\d\d):?(\d\d)\b", r"\1 UTC\2:\3"),
    (r"retryDelay\W{1,4}\{\W{0,2}seconds\W{1,4}(\d+)", r"retryDelay: \1s"),
)
_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), meaning) for pattern, meaning in _MEANINGS)


def in_english(text: str) -> str:
    """The text with its spans and times of day in English; other words stay as they are."""
    text = _PERIOD.sub(_period, unicodedata.normalize("NFKC", text))
    for pattern, meaning in _PATTERNS:
        text = pattern.sub(meaning, text)
    return text
