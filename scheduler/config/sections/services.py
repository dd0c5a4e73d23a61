"""Reads the tables [llm], [alerts] and [history]: the model to ask, whom to alert, how much to keep."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Any
from urllib.parse import urlsplit

from scheduler.core.secrets import Sensitive
from scheduler.core.task import Alerts, Llm, Retention
from scheduler.handlers.net.urls import address
from scheduler.schema.table import At, Problems, Table, key, read
from scheduler.schema.values import (
    InvalidValue,
    Reader,
    Text,
    argv_of,
    integer,
    listed,
    one_of,
    reads,
    reads_list,
    seconds,
    text,
)
from scheduler.schema.values import secret as secret_text

SHORTEST = 0.1  # seconds: a shorter interval would only keep the machine busy
KINDS = ("failed", "recovered", "stalled", "over budget")
PINGS = ("start", "ok", "failed")
APIS = ("ollama", "openai")


@reads(type="string")
def secret_address(value: Any) -> Sensitive:
    """An http or https address that is never shown, because it works like a password."""
    return Sensitive(address(value))


def subset_of(known: tuple[str, ...]) -> Reader[frozenset[str]]:
    """Reads a list of these words."""

    @reads_list(enum=list(known))
    def read_some(value: Any) -> frozenset[str]:
        for each in listed(value, f"{list(known)!r}".replace("'", '"')):
            if each not in known:
                raise InvalidValue(f"{each!r} is none of: {', '.join(known)}")
        return frozenset(value)

    return read_some


# ------------------------------------------------------------------ [llm]


@reads(type="string")
def _server(value: Any) -> str:
    """The http or https address of a server, without a password in it."""
    url = text(value).strip()
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x20\x7f]", url):
        raise InvalidValue('is not the address of a server; write it like "http://127.0.0.1:11434"')
    if parts.username is not None or parts.password is not None:
        raise InvalidValue('contains a password; write that as key = "${LLM_KEY}" and the address without it')
    if parts.query or parts.fragment:
        raise InvalidValue("contains ? or #; write the address up to there")
    return Sensitive(url.rstrip("/")) if isinstance(value, Sensitive) else url.rstrip("/")


_PROTOCOL = one_of(APIS, 'is unknown; write "ollama", or "openai" for every server compatible with it')


@reads(type="string")
def _header(value: Any) -> str:
    """A key that is valid in a header."""
    found = secret_text(value)
    if not re.fullmatch(r"[\x21-\x7e]*", found):
        raise InvalidValue("contains spaces or characters that no key has; copy it again")
    return found


class LlmTable(Table):
    """The keys of `[llm]`."""

    url: Annotated[str, _server] = key("", "The server, http:// or https://.")
    model: Text = key("", "A name that the server knows.")
    api: Annotated[str, _PROTOCOL] = key("ollama", "The protocol that the server speaks.")
    timeout: Annotated[float, seconds(0.1)] = key(120.0, "How long the server may keep silent.")
    key: Annotated[str, _header] = key("", 'Sent as Bearer; a secret: "${LLM_KEY}".')


def llm(raw: Mapping[str, Any] | None, at: At, problems: Problems) -> Llm | None:
    """The model to ask, None if none is set; problems are noted."""
    if raw is None:
        return None
    before = len(problems.found)
    table = read(LlmTable, raw, at, problems)
    if "url" not in raw:
        problems.add(at, 'has no url; add url = "http://127.0.0.1:11434" or where your server is')
    if not raw.get("model"):
        problems.add(at, 'has no model; add model = "..." with a name that the server knows')
    if len(problems.found) > before:
        return None
    return Llm(table.url, table.model, table.api, table.key, table.timeout)


# ------------------------------------------------------------------ [alerts]


@reads_list()
def _services(value: Any) -> tuple[Sensitive, ...]:
    """Addresses for Apprise; they contain passwords."""
    given = listed(value, '["${ALERT_URL}"]')
    if find_spec("apprise") is None:
        raise InvalidValue("needs Apprise; install experience-tui[apprise], or use command or webhook")
    found = tuple(Sensitive(text(each)) for each in given)
    if not all("://" in each for each in found):
        raise InvalidValue('contains an invalid Apprise URL; expected e.g. "mailtos://..."')
    return found


class AlertsTable(Table):
    """The keys of `[alerts]`."""

    on: Annotated[frozenset[str], subset_of(KINDS)] = key(frozenset(KINDS), "What to report.")
    after: Annotated[int, integer(1, 1000)] = key(2, "How many failures in a row are reported.")
    command: Annotated[tuple[str, ...], argv_of] = key((), "Gets the alert as JSON on its input.")
    webhook: Annotated[str, secret_address] = key("", "The alert is posted there; a secret.")
    apprise: Annotated[tuple[str, ...], _services] = key((), "Addresses of Apprise; secrets.")


def alerts(raw: Mapping[str, Any] | None, at: At, problems: Problems) -> Alerts | None:
    """The alerts and their targets, None if there are none; problems are noted."""
    if raw is None:
        return None
    before = len(problems.found)
    table = read(AlertsTable, raw, at, problems)
    if len(problems.found) == before and table.on and not (table.command or table.webhook or table.apprise):
        problems.add(at, 'has no target; add command = ["..."], webhook = "https://..." or apprise = ["..."]')
    if len(problems.found) > before or not table.on:
        return None
    return Alerts(table.on, table.after, table.command, table.webhook, table.apprise)


# ------------------------------------------------------------------ [history]


class HistoryTable(Table):
    """The keys of `[history]`."""

    keep: Annotated[int, integer(1, 10_000_000)] = key(Retention().runs, "Remembered runs of each task.")
    keep_for: Annotated[float, seconds(SHORTEST)] = key(Retention().seconds, "How long a run is remembered.")
