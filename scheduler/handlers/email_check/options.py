"""The options of `email_check`: the keys of its table in the settings."""

import re
from pathlib import Path
from typing import Annotated, Any

from scheduler.core.secrets import Sensitive
from scheduler.handlers.email_check.rules import sender
from scheduler.schema.table import Table, key
from scheduler.schema.values import (
    InvalidValue,
    integer,
    listed,
    path,
    reads,
    reads_list,
    seconds,
    secret,
    text,
)

NEEDS = ("host", "user", "password")


LINES = """
host = "imap.example.org"
user = "opus@example.org"
password = "${IMAP_PASSWORD}"  # in the citizen's .env: IMAP_PASSWORD=...
urgent_from = ["ct@example.org"]
"""


@reads(type="string")
def single_line(value: Any) -> str:
    """Text on one line: to the server, a line break would start another command."""
    given = text(value)
    if not given.strip() or not given.isprintable():
        raise InvalidValue("is empty or has control characters; write it on one line")
    return given.strip()


@reads(type="string")
def _password(value: Any) -> Sensitive:
    """A secret on one line."""
    given = secret(value)
    if not given or "\r" in given or "\n" in given:
        raise InvalidValue("is empty or has line breaks; write it on one line")
    return given


@reads(type="string")
def _host(value: Any) -> str:
    given = single_line(value)
    if not re.fullmatch(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?|[0-9a-fA-F:.]+", given) or len(given) > 253:
        raise InvalidValue('is not a host name; write it like "imap.example.org", the port goes with port')
    return given


@reads_list()
def _senders(value: Any) -> tuple[str, ...]:
    return tuple(sender(each) for each in listed(value, '["ct@example.org", "example.net"]'))


@reads_list()
def _phrases(value: Any) -> tuple[str, ...]:
    return tuple(single_line(each) for each in listed(value, '["urgent", "server down"]'))


class Options(Table):
    """The keys of `[tasks.email_check]` in addition to those of every task."""

    host: Annotated[str, _host] = key("", "The IMAP server.")
    port: Annotated[int, integer(1, 65_535)] = key(993, "A port that speaks TLS at once.")
    user: Annotated[str, single_line] = key("", "The account.")
    password: Annotated[str, _password] = key(Sensitive(""), 'A secret: "${IMAP_PASSWORD}".')
    folder: Annotated[str, single_line] = key("INBOX", "The folder to look at.")
    ca_file: Annotated[Path | None, path] = key(
        None, "A PEM file: trust these certificates instead of the system's."
    )
    urgent_from: Annotated[tuple[str, ...], _senders] = key((), "Addresses and domains whose mail is urgent.")
    urgent_subjects: Annotated[tuple[str, ...], _phrases] = key(
        (), "Words or phrases in a subject that make a mail urgent."
    )
    since: Annotated[float, seconds(3600)] = key(30 * 86400.0, "Ignore mail older than this.")
    limit: Annotated[int, integer(1, 1_000_000)] = key(
        10_000, "Messages that one run looks at, newest first."
    )
