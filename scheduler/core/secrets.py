"""Mask secrets in what is shown, logged or remembered."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import takewhile
from os.path import normpath
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 4  # characters: masking shorter values of a .env file, such as 1 or no, would hide half the text
PIECE = 8  # shortest part of a value masked alone (characters): libraries quote one word, or cut an error
_SEPARATORS = re.compile(r"[\s:/@?&=,;#]+")  # between the parts of an address or a command line
_CUT = re.compile(r"…|\.\.\.|\Z")
LONGEST = 1000  # characters of a text that are shown and searched for secrets

# Long words match anywhere in a name, short ones only at the end of a part: `keywords` does not match.
_SHORT = r"(?:keys?|pass|pwd|auth|cookies?)(?![a-z])"
_FLAGGED = rf"[\w-]*?(?:password|passwd|passphrase|token|secret|credential|authorization|{_SHORT})[\w-]*"
_NAMED = rf"(?<![\w-]){_FLAGGED}"
# The value after such a name, after an authorization scheme, or after a user name in a URL.
_IN_TEXT = (
    rf"({_NAMED}[\"']?\s*[=:]\s*[\"']?)(?:(?:bearer|basic|token)\s+)?[^\s\"'&]+",
    r"(\b(?:bearer|basic)\s+)[^\s\"']+",
    r"(://[^\s/:@]*:)[^\s/]+(?=@)",
    rf"((?<!\S)--?{_FLAGGED}\s+)[^\s-][^\s]*",
)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile on first use: `--status` masks nothing and saves the 2 ms that these patterns take."""
    return re.compile(pattern, re.IGNORECASE)


class Sensitive(str):
    """Text that came from the environment or a .env file: it may be a secret, so its repr hides it.

    It may also stand for a number or a yes/no, which text in a settings file may not.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class SensitiveBytes(bytes):
    """The same for bytes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'***'"


def holds_sensitive(value: Any) -> bool:
    """Whether any part of the value came from the environment or a .env file."""
    if isinstance(value, dict):
        return any(map(holds_sensitive, value.values()))
    return any(map(holds_sensitive, value)) if isinstance(value, list) else isinstance(value, Sensitive)


class Masks:
    """Masks the known secrets of one citizen and text that looks like a secret."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        secrets = frozenset(secrets)
        found = {spelt for each in secrets for spelt in _spellings(each) if len(spelt) >= SHORTEST}
        self._known = sorted(found, key=len, reverse=True)
        self._pattern = _pattern(self._known, secrets)
        starts = {re.escape(each[:PIECE]) for each in self._known if len(each) > PIECE}
        self._starts = re.compile("|".join(starts), re.IGNORECASE) if starts else None

    def hide(self, text: str) -> str:
        """The text without any known secret, even one that an error quotes escaped, in part or cut short.

        A value of one to three characters is masked only in quotes or where it is all that follows a colon.
        """
        if self._pattern is None or not text:
            return text
        return self._hide_cut(self._pattern.sub(MASK, text))

    def _hide_cut(self, text: str) -> str:
        """Mask the beginning of a secret at the end of the text, or before an ellipsis."""
        shown, done = "", 0
        for found in self._starts.finditer(text) if self._starts else ():
            end = found.start() + max(_agree(text, found.start(), each) for each in self._known)
            if found.start() >= done and _CUT.match(text, end):
                shown, done = shown + text[done : found.start()] + MASK, end
        return shown + text[done:]

    def held_back(self, text: str) -> int:
        """How many characters at the end may begin a secret, for text that arrives in parts."""
        return max((_overlap(text, each) for each in self._known), default=0)

    def text(self, text: str) -> str:
        """The text without its secrets; all of it is masked if it came from .env or the environment."""
        if isinstance(text, Sensitive) and text:
            return MASK
        text = self.hide(text)
        text = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
        for pattern in _IN_TEXT:
            text = _compiled(pattern).sub(rf"\g<1>{MASK}", text)
        return text

    def words(self, argv: Iterable[str]) -> list[str]:
        """The words of a command line; the value after a flag such as --password is masked, too."""
        shown: list[str] = []
        before = ""
        for word in argv:
            shown.append(MASK if _compiled(rf"--?{_FLAGGED}").fullmatch(before) else self.text(word))
            before = word
        return shown

    def value(self, name: str, value: Any) -> str:
        """A setting's value in words."""
        if not value and not isinstance(value, bool | int | float):
            return "none"
        if isinstance(value, SensitiveBytes) or _secret(name, value):
            return MASK
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float):
            return f"{value:g}"
        if isinstance(value, Mapping):
            pairs = (f"{self.text(str(key))} = {self.value(str(key), each)}" for key, each in value.items())
            return "\n".join(pairs)
        if isinstance(value, list | tuple | set | frozenset):
            return ", ".join(self.value(name, each) for each in value)
        return self.text(value if isinstance(value, str) else str(value))


def _pattern(known: list[str], secrets: Iterable[str]) -> "re.Pattern[str] | None":
    short = "|".join(re.escape(each) for each in secrets if 0 < len(each) < SHORTEST)
    parts = [re.escape(each) for each in known]
    if short:
        parts.append(rf"(?<=['\"`])(?:{short})(?=['\"`])|(?<=: )(?:{short})$")
    return re.compile("|".join(parts), re.IGNORECASE | re.MULTILINE) if parts else None


def _spellings(secret: str) -> Iterator[str]:
    """The value as errors quote it: escaped, as a path, one of its lines, or one part of it."""
    stripped = secret.strip()
    yield from (secret, stripped, repr(secret)[1:-1], json.dumps(secret)[1:-1])
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield from map(str.strip, secret.splitlines())
    if stripped.startswith(("/", "~")):
        yield normpath(stripped)
    else:
        yield from (part for part in _SEPARATORS.split(secret) if len(part) >= PIECE)


def _agree(text: str, start: int, secret: str) -> int:
    """How many characters of the text from `start` on agree with the beginning of the secret."""
    pairs = zip(text[start : start + len(secret)].lower(), secret.lower(), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _overlap(text: str, secret: str) -> int:
    """How many characters at the end of the text begin the secret; the whole secret does not count."""
    end, secret = text[-len(secret) + 1 :].lower(), secret.lower()
    return next((size for size in range(len(end), 0, -1) if secret.startswith(end[-size:])), 0)


NOTHING_SECRET = Masks()


def _secret(name: str, value: Any) -> bool:
    """Whether it is a secret by its name: text or a list, not a number or a yes (`key_limit = 5`)."""
    return _compiled(_NAMED).fullmatch(name) is not None and not isinstance(value, bool | int | float)
