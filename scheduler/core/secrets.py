"""Mask the secrets in a definition, so that it may be shown to any user."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "***"
SHORTEST = 4  # characters: masking shorter values of an .env, such as 1 or no, would hide half the text
LONGEST = 1000  # characters of a text that are shown, and searched for secrets

# Long words match anywhere in a name, short ones only at the end of a part: `keywords` does not match.
_SHORT = r"(?:keys?|pass|pwd|auth|cookies?)(?![a-z])"
_FLAGGED = rf"[\w-]*?(?:password|passwd|passphrase|token|secret|credential|authorization|{_SHORT})[\w-]*"
_NAMED = rf"(?<![\w-]){_FLAGGED}"
_SECRET_NAME = re.compile(_NAMED, re.IGNORECASE)
_SECRET_FLAG = re.compile(rf"--?{_FLAGGED}", re.IGNORECASE)
# The value after such a name, after an authorization scheme, or after a user name in a URL.
_IN_TEXT = (
    (re.compile(rf"({_NAMED}[\"']?\s*[=:]\s*[\"']?)(?:(?:bearer|basic|token)\s+)?[^\s\"'&]+", re.IGNORECASE)),
    (re.compile(r"(\b(?:bearer|basic)\s+)[^\s\"']+", re.IGNORECASE)),
    (re.compile(r"(://[^\s/:@]*:)[^\s/]+(?=@)")),
    (re.compile(rf"((?<!\S)--?{_FLAGGED}\s+)[^\s-][^\s]*", re.IGNORECASE)),
)


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
    """Whether any part of it came from the environment or a .env file."""
    if isinstance(value, dict):
        return any(map(holds_sensitive, value.values()))
    return any(map(holds_sensitive, value)) if isinstance(value, list) else isinstance(value, Sensitive)


class Masks:
    """Masks the known secrets of one citizen and text that looks like a secret."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({each for each in secrets if len(each) >= SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known)), re.IGNORECASE) if known else None

    def text(self, text: str) -> str:
        """The text without its secrets; nothing of it if it came from .env or the environment."""
        if isinstance(text, Sensitive) and text:
            return MASK
        if self._known:
            text = self._known.sub(MASK, text)
        text = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
        for pattern in _IN_TEXT:
            text = pattern.sub(rf"\g<1>{MASK}", text)
        return text

    def words(self, argv: Iterable[str]) -> list[str]:
        """The words of a command line; the value after a flag such as --password is masked, too."""
        shown: list[str] = []
        before = ""
        for word in argv:
            shown.append(MASK if _SECRET_FLAG.fullmatch(before) else self.text(word))
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


def _secret(name: str, value: Any) -> bool:
    """Whether this is a secret by its name: text or a list, not a number or a yes (`key_limit = 5`)."""
    return _SECRET_NAME.fullmatch(name) is not None and not isinstance(value, bool | int | float)
