"""A cron expression in words: `at 09:00, Monday to Friday`, `every 2 minutes`."""

import re

_WORDS = ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_SPELLED = {word: number for number, word in enumerate(_WORDS, 2)}
_ORDINAL = rf"(?:{'|'.join(_SPELLED)}|\d+(?:st|nd|rd|th))"
# "every second minute" is ambiguous: "second" is also a unit.
_EVERY = re.compile(rf"\b([Ee]very) ({_ORDINAL}) (minute|second|hour|day|month)")
_RULES = (
    (re.compile(r"^(every \d+ (?:minutes|seconds)) of every (?:hour|minute)$"), r"\1"),
    (re.compile(r"^every (second|minute) of every (?:minute|hour)$"), r"every \1"),
    (re.compile(r"\bthrough\b"), "to"),
    (re.compile(r" on (\w+day to \w+day)"), r", \1"),
)


def plain(explained: str) -> str:
    """cronsim's explanation of an expression, in the words of this program."""
    words = _EVERY.sub(_counted, explained[:1].lower() + explained[1:])
    for pattern, text in _RULES:
        words = pattern.sub(text, words)
    return words


def _counted(match: re.Match[str]) -> str:
    every, ordinal, unit = match.groups()
    number = _SPELLED.get(ordinal) or int(re.sub(r"\D", "", ordinal))
    if match.start():  # "past every 4th hour"
        ending = {2: "nd", 3: "rd"}.get(number, "th")
        return f"{every} {number}{ending} {unit}"
    return f"{every} {number} {unit}s"
