"""Validates URLs and shows them without their secrets."""

import hashlib
from urllib.parse import urlsplit

from scheduler.core.secrets import Sensitive
from scheduler.schema.values import InvalidValue, reads, text


@reads(type="string")
def address(value: object) -> str:
    """Reads an http or https address."""
    url = text(value)
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or any(each <= " " for each in url):
        raise InvalidValue('is not an address; write it whole, like "https://example.org/feed.xml"')
    return url if isinstance(url, Sensitive) else _Address(url)


def origin(url: str) -> tuple[str, str, int | None]:
    """The scheme, host and port: secrets are not sent to another origin."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port


def redacted(url: str) -> str:
    """The address without user, password and query; only the host if it is from the environment or .env."""
    try:
        scheme, host, port = origin(url)
    except ValueError:
        return "the address"
    place = f"[{host}]" if ":" in host else host
    standard = port == {"http": 80, "https": 443}.get(scheme)
    base = f"{scheme}://{place}" if standard else f"{scheme}://{place}:{port}"
    return base if isinstance(url, Sensitive) else base + urlsplit(url).path


def fingerprint(url: str) -> str:
    """A hash that stands for the URL in files, because a URL may contain a secret."""
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class _Address(str):
    """An address whose repr leaves out possible secrets."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(redacted(str(self)))
