"""The options of `email_check`: what its table in the settings may hold."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scheduler.core.secrets import Sensitive
from scheduler.handlers.email_check.rules import sender
from scheduler.schema.table import key
from scheduler.schema.values import InvalidValue, kind, path, seconds, secret, text, whole

if TYPE_CHECKING:
    pass


NEEDS = ("host", "user", "password")


LINES = """
host = "imap.example.org"
user = "opus@example.org"
password = "${IMAP_PASSWORD}"  # in the citizen's .env: IMAP_PASSWORD=...
urgent_from = ["ct@example.org"]
"""


def one(value: Any) -> str:
    """Text on one line: a line break would be a command of its own to the server."""
    given = text(value)
    if not given.strip() or not given.isprintable():
        raise InvalidValue("is empty or has control characters; write it on one line")
    return given.strip()


def password(value: Any) -> Sensitive:
    """A secret on one line."""
    given = secret(value)
    if not given or "\r" in given or "\n" in given:
        raise InvalidValue("is empty or has line breaks; write it on one line")
    return given


def host(value: Any) -> str:
    given = one(value)
    if not re.fullmatch(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?|[0-9a-fA-F:.]+", given) or len(given) > 253:
        raise InvalidValue('is no host name; write it like "imap.example.org", the port goes with port')
    return given


def senders(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InvalidValue(f'is {kind(value)}; write it as a list, like ["ct@example.org", "example.net"]')
    return tuple(sender(each) for each in value)


def phrases(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InvalidValue(f'is {kind(value)}; write it as a list, like ["urgent", "server down"]')
    return tuple(one(each) for each in value)


@dataclass(frozen=True, slots=True)
class Options:
    """The keys of `[tasks.email_check]` beside those of every task."""

    host: str = key(host, "")
    port: int = key(whole(1, 65_535), 993)
    user: str = key(one, "")
    password: str = key(password, Sensitive(""))
    folder: str = key(one, "INBOX")
    ca_file: Path | None = key(path)  # noqa: RUF009  # a field, not a shared value
    urgent_from: tuple[str, ...] = key(senders, ())
    urgent_subjects: tuple[str, ...] = key(phrases, ())
    since: float = key(seconds(3600), 30 * 86400.0)  # older mail is not looked at
    limit: int = key(whole(1, 1_000_000), 10_000)  # messages that one run looks at, newest first
