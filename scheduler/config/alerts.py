"""Reads the table [alerts] and the keys of pings: who is told of what."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from scheduler.core.secrets import Sensitive
from scheduler.core.task import Alerts
from scheduler.handlers.net.urls import address
from scheduler.schema.table import At, Problems, key, read
from scheduler.schema.values import InvalidValue, Reader, kind, text, whole, words

KINDS = ("failed", "recovered", "stalled")
PINGS = ("start", "ok", "failed")


def secret_address(value: Any) -> Sensitive:
    """An http or https address that is shown nowhere: whoever knows it may use it."""
    return Sensitive(address(value))


def some_of(known: tuple[str, ...]) -> Reader:
    """Reads a list of these words."""

    def read_some(value: Any) -> frozenset[str]:
        if not isinstance(value, list):
            raise InvalidValue(
                f"is {kind(value)}; write it as a list, like {list(known)!r}".replace("'", '"')
            )
        for each in value:
            if each not in known:
                raise InvalidValue(f"{each!r} is none of: {', '.join(known)}")
        return frozenset(value)

    return read_some


def services(value: Any) -> tuple[Sensitive, ...]:
    """Addresses as Apprise reads them; they hold passwords."""
    if not isinstance(value, list):
        raise InvalidValue(f'is {kind(value)}; write it as a list, like ["${{ALERT_URL}}"]')
    if find_spec("apprise") is None:
        raise InvalidValue("needs Apprise; install experience-tui[apprise], or use command or webhook")
    found = tuple(Sensitive(text(each)) for each in value)
    if not all("://" in each for each in found):
        raise InvalidValue(
            'holds what is no address; write them like "mailtos://..." (see the list of Apprise)'
        )
    return found


@dataclass(frozen=True, slots=True)
class AlertsTable:
    """The keys of `[alerts]`."""

    on: frozenset[str] = key(some_of(KINDS), frozenset(KINDS))
    after: int = key(whole(1, 1000), 2)
    command: tuple[str, ...] = key(words, ())
    webhook: str = key(secret_address, "")
    apprise: tuple[str, ...] = key(services, ())


def alerts(raw: Mapping[str, Any] | None, at: At, problems: Problems) -> Alerts | None:
    """Whom to tell of what, None if nobody; what cannot be used is noted."""
    if raw is None:
        return None
    before = len(problems.found)
    table = read(AlertsTable, raw, at, problems)
    if len(problems.found) == before and table.on and not (table.command or table.webhook or table.apprise):
        problems.add(at, 'tells nobody; add command = ["..."], webhook = "https://..." or apprise = ["..."]')
    if len(problems.found) > before or not table.on:
        return None
    return Alerts(table.on, table.after, table.command, table.webhook, table.apprise)
