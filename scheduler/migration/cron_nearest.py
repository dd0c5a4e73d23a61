"""The nearest form of a time that cron does not know: what a person probably meant, in words that will do."""

import re
from difflib import get_close_matches

from scheduler.core.schedule import MACROS
from scheduler.migration.cron_fields import NotCron, read_fields

_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = """
    sunday monday tuesday wednesday thursday friday saturday tues thur thurs january february march april june
    july august september october november december sept
"""
_LONG = {name: name[:3] for name in _NAMES.split()}
_EVERY = re.compile(r"@every(?:_|\s+)?(\S+)")


def nearest(text: str) -> str:
    """A line of settings, or five fields; empty where nothing is near."""
    if text.startswith("@"):
        return _macro(text)
    fields = text.lower().split()
    if found := re.fullmatch(r"(?:export\s+)?([^=\s]*)(=.*)?", text, re.DOTALL):
        return f"{found[1] or 'NAME'}{found[2] or '=value'}"
    if len(fields) == 6:
        return f'cron = "{text}" in the settings, if the first field means seconds'
    if len(fields) != 5:
        return "five fields and a command, such as 0 9 * * mon-fri"
    if re.search(r"l|w|#", fields[2]) or re.search(r"#|[0-7]l", fields[4]):
        return _of_the_month(text)
    made = [",".join(_part(at, part) for part in field.split(",") if part) for at, field in enumerate(fields)]
    return _checked(" ".join(each or "*" for each in made))


def _checked(text: str) -> str:
    try:
        read_fields(text)
    except NotCron:
        return ""
    return text


def _macro(text: str) -> str:
    if found := _EVERY.fullmatch(text):
        return {"minute": "* * * * *", "second": 'every = "1s" in the settings'}.get(
            found[1], f'every = "{found[1]}" in the settings'
        )
    if text[1:].isdecimal():
        return f'every = "{text[1:]}s" in the settings'
    return next(iter(get_close_matches(text, ["@reboot", *MACROS], n=1, cutoff=0.5)), "")


def _of_the_month(text: str) -> str:
    if re.search(r"\dw", text.lower()):
        return _checked(" ".join(re.sub(r"(?<=\d)w", "", field.lower()) for field in text.split()))
    return f'cron = "{text}" in the settings, which know L, LW, 5L and 5#2'


def _part(at: int, part: str) -> str:
    low, high = _BOUNDS[at]
    part = re.sub(r"[a-z]{4,}", lambda found: _LONG.get(found[0], found[0]), part)
    span, slash, step = part.partition("/")
    if re.fullmatch(r"[hr](\(.*\))?|~|\d*~\d*", span):  # a number by dice: any will do
        fixed = re.match(r"\d+", span)
        return f"*/{step}" if slash else fixed[0] if fixed else str(low)
    if slash and not step.strip("0"):
        return span
    if re.fullmatch(r"\d+", span):
        number = str(min(max(int(span[:9]), low), high))
        first = "*" if int(number) == low else f"{number}-{high}"
        return f"{first}/{step}" if slash else number
    if backwards := re.fullmatch(r"(\d+)-(\d+)", span):
        start, end = (min(max(int(each[:9]), low), high) for each in backwards.groups())
        rest = f"/{step}" if slash else ""
        return f"{start}-{end}{rest}" if start <= end else f"{start}-{high}{rest},{low}-{end}{rest}"
    return part if re.fullmatch(r"[a-z*]+(-[a-z]+)?", span) else "*"
