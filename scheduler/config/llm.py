"""Reads the table [llm]: which language model handlers may ask, and how."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from scheduler.core.secrets import Sensitive
from scheduler.core.task import Llm
from scheduler.schema.table import At, Problems, key, read
from scheduler.schema.values import InvalidValue, seconds, secret, text

APIS = ("ollama", "openai")


def address(value: Any) -> str:
    """The http or https address of a server, without a password in it."""
    url = text(value).strip()
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x20\x7f]", url):
        raise InvalidValue('is no address of a server; write it like "http://127.0.0.1:11434"')
    if parts.username is not None or parts.password is not None:
        raise InvalidValue('holds a password; write that as key = "${LLM_KEY}" and the address without it')
    if parts.query or parts.fragment:
        raise InvalidValue("holds ? or #; write the address up to there")
    return Sensitive(url.rstrip("/")) if isinstance(value, Sensitive) else url.rstrip("/")


def protocol(value: Any) -> str:
    """Which of the two protocols the server speaks."""
    if text(value) not in APIS:
        raise InvalidValue(
            'is none that is known; write "ollama", or "openai" for every server compatible with it'
        )
    return str(value)


def header(value: Any) -> str:
    """A key that can be sent in a header."""
    found = secret(value)
    if not re.fullmatch(r"[\x21-\x7e]*", found):
        raise InvalidValue("holds spaces or characters that no key has; copy it again")
    return found


@dataclass(frozen=True, slots=True)
class LlmTable:
    """The keys of `[llm]`."""

    url: str = key(address, "")
    model: str = key(text, "")
    api: str = key(protocol, "ollama")
    timeout: float = key(seconds(0.1), 120.0)
    key: str = key(header, "")  # the last: from here on its name is taken


def llm(raw: Mapping[str, Any] | None, at: At, problems: Problems) -> Llm | None:
    """The model to ask, None if none is set; what cannot be used is noted."""
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
