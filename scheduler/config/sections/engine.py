"""Reads the table [engine]: the database that machines share."""

import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote, urlsplit

from scheduler.config.settings import EngineSettings
from scheduler.core.secrets import Sensitive
from scheduler.schema.table import Problems, Table, key, read
from scheduler.schema.values import InvalidValue, listed, reads, reads_list, seconds, text

SHORTEST_FAILOVER = 3.0  # seconds: an owner that is slow for a moment must not lose its citizens
ENCRYPTED = ("require", "verify-ca", "verify-full")
LOCAL = ("", "localhost", "127.0.0.1", "::1")
SECRET_OPTIONS = ("password", "sslpassword")


def passwords(url: str) -> frozenset[str]:
    """The secret parts of the address, both as written and decoded."""
    found = re.search(r"://[^:/?#]*:(.*)@", url)  # to the last @, even if the address is malformed
    options = parse_qs(url.partition("?")[2])
    raw = [found[1] if found else "", *(each for name in SECRET_OPTIONS for each in options.get(name, ()))]
    return frozenset(spelt for each in raw for spelt in (each, unquote(each)) if spelt)


@reads(type="string")
def _database(value: Any) -> str:
    """The address of a PostgreSQL: encrypted unless it is local, and without a password in the file."""
    url = text(value).strip()
    try:
        parts = urlsplit(url)
        servers = [urlsplit(f"//{each}") for each in parts.netloc.rpartition("@")[2].split(",")]
        usable = parts.scheme in ("postgresql", "postgres") and all((each.port or 1) for each in servers)
    except ValueError:
        usable = False
    if not usable:
        raise InvalidValue('is not the address of a PostgreSQL; write "postgresql://USER@HOST/DATABASE"')
    if parts.netloc.count("@") > 1 or "@" in parts.path:
        raise InvalidValue("has an @ or a / in its password; write %40 and %2F")
    if passwords(url) and not isinstance(value, Sensitive):
        raise InvalidValue('contains a password; write url = "${EXPERIENCE_ENGINE}" and set that variable')
    options = parse_qs(parts.query)
    here = all(
        host in LOCAL or host.startswith("/") for host in _hosts([each.hostname for each in servers], options)
    )
    if not here and options.get("sslmode", [""])[-1] not in ENCRYPTED:
        raise InvalidValue("would send all in plain text; add ?sslmode=verify-full to the address")
    return Sensitive(url) if isinstance(value, Sensitive) else url


def _hosts(named: Iterable[str | None], options: Mapping[str, list[str]]) -> Iterator[str]:
    """All hosts that the address may lead to: options override the host it names."""
    for each in (*(host or "" for host in named), *options.get("host", ()), *options.get("hostaddr", ())):
        yield from each.split(",")
    yield from ("a service's" for _ in options.get("service", ()))


@reads(type="string")
def _machine(value: Any) -> str:
    """A name for people to recognise; nothing else depends on it."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", text(value)):
        raise InvalidValue("is not a valid name: use letters, digits, . _ and -, at most 63 characters")
    return str(value)


@reads_list()
def machines_of(value: Any) -> tuple[str, ...]:
    """The names of machines, as each one's `[engine]` gives them."""
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
    """The database that machines share, None if none is set; problems are noted."""
    if raw is None:
        return None
    before = len(problems.found)
    table = read(EngineTable, raw, ("engine",), problems)
    if "url" not in raw:
        problems.add(("engine",), 'has no url; add url = "postgresql://USER@HOST/DATABASE"')
    if any(find_spec(each) is None for each in ("psycopg", "procrastinate")):
        problems.add(("engine",), "needs psycopg and procrastinate; install experience-tui[engine]")
    if len(problems.found) > before:
        return None
    return EngineSettings(table.url, table.machine or socket.gethostname(), table.failover)
