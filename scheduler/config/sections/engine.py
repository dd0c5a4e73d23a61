"""Reads the table [engine]: the database that machines share."""

import re
import socket
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from scheduler.config.settings import EngineSettings
from scheduler.core.secrets import Sensitive
from scheduler.schema.table import Problems, Table, key, read
from scheduler.schema.values import InvalidValue, listed, reads, reads_list, seconds, text

SHORTEST_FAILOVER = 3.0  # seconds: an owner that is only slow for a moment must not lose its citizens
ENCRYPTED = ("require", "verify-ca", "verify-full")


@reads(type="string")
def _database(value: Any) -> str:
    """The address of a PostgreSQL: encrypted unless it is on this machine, the password not in the file."""
    url = text(value).strip()
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("postgresql", "postgres") and (parts.port or 1)
    except ValueError:
        usable = False
    if not usable:
        raise InvalidValue('is not the address of a PostgreSQL; write "postgresql://USER@HOST/DATABASE"')
    if parts.password and not isinstance(value, Sensitive):
        raise InvalidValue('contains a password; write url = "${EXPERIENCE_ENGINE}" and set that variable')
    options = parse_qs(parts.query)
    here = parts.hostname in (None, "localhost", "127.0.0.1", "::1")
    if not here and options.get("sslmode", [""])[-1] not in ENCRYPTED:
        raise InvalidValue("would send all in plain text; add ?sslmode=verify-full to the address")
    return Sensitive(url) if isinstance(value, Sensitive) else url


@reads(type="string")
def _machine(value: Any) -> str:
    """A name that people recognise; nothing depends on it."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", text(value)):
        raise InvalidValue("is not a valid name: use letters, digits, . _ and -, at most 63 characters")
    return str(value)


@reads_list()
def machines_of(value: Any) -> tuple[str, ...]:
    """Names of machines, as each calls itself in its `[engine]`."""
    return tuple(_machine.read(each) for each in listed(value, '["m1", "m2"]'))


class EngineTable(Table):
    """The keys of `[engine]`."""

    url: Annotated[str, _database] = key("", 'The PostgreSQL that decides who owns: "${EXPERIENCE_ENGINE}".')
    machine: Annotated[str, _machine] = key(
        "", "This machine's name on every screen; default: its host name."
    )
    failover: Annotated[float, seconds(SHORTEST_FAILOVER)] = key(
        30.0, "After this silence another machine takes over."
    )


def engine(raw: Mapping[str, Any] | None, problems: Problems) -> EngineSettings | None:
    """The database that machines share, None if none is set; what cannot be used is noted."""
    if raw is None:
        return None
    before = len(problems.found)
    table = read(EngineTable, raw, ("engine",), problems)
    if "url" not in raw:
        problems.add(("engine",), 'has no url; add url = "postgresql://USER@HOST/DATABASE"')
    if find_spec("psycopg") is None:
        problems.add(("engine",), "needs psycopg; install experience-tui[engine]")
    if len(problems.found) > before:
        return None
    return EngineSettings(table.url, table.machine or socket.gethostname(), table.failover)
