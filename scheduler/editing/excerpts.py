"""Finds where a problem is in its settings file, and the lines around it, without secrets."""

import re
import tomllib

from scheduler.core.editor import Excerpt
from scheduler.core.secrets import Masks
from scheduler.editing import document


def excerpt(text: str, line: int, key: str, words: str, masks: Masks) -> Excerpt | None:
    """The line with one before and one after it; None if it is not found. `line` is 0 if unknown."""
    lines = text.splitlines()
    number = line or _line_of(text, tuple(key.split(".")))
    if not 0 < number <= len(lines):
        return None
    first = max(1, number - 1)
    shown = tuple(masks.hide(each) for each in lines[first - 1 : number + 1])
    at, wrong = _part(shown[number - first], key.rpartition(".")[2], words)
    return Excerpt(number, first, shown, at, wrong)


def _line_of(text: str, at: tuple[str, ...]) -> int:
    """The line that sets this key, or else its table's header; 0 if there is none."""
    try:
        header = document.line_of(text, at[:-1])
        table = document.line_of(text, at)
    except tomllib.TOMLDecodeError:
        return 0
    if table:
        return table
    key = re.compile(rf"\s*[\"']?{re.escape(at[-1])}[\"']?\s*=")
    for number, line in enumerate(text.splitlines()[header or 0 :], (header or 0) + 1):
        if key.match(line):
            return number
        if line.startswith("["):
            break
    return header or 0


def _part(line: str, key: str, words: str) -> tuple[int, int]:
    """The wrong part, as start and length: what `words` name, else the value, or an unknown key."""
    name, sign, value = line.partition("=")
    if not sign or words.startswith("unknown key"):
        at = max(0, line.find(key))
        return at, len(key) if key in line else len(line.strip())
    for word in re.findall(r"[\w*/,.:-]+", words):
        if len(word) > 1 and word in value:
            return len(name) + 1 + value.index(word), len(word)
    text = value.strip()
    return line.index(text, len(name)), len(text)
