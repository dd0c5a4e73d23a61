"""Where the web server listens, and which names and origins it accepts."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from scheduler.errors import SchedulerError

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class BadAddress(SchedulerError):
    """An address or a public URL that is unsafe or invalid."""

    code = "bad-address"


@dataclass(frozen=True, slots=True)
class Address:
    """`public` is the origin of the proxy with TLS in front, https://name, if there is one."""

    host: str
    port: int
    public: str = ""

    @property
    def origin(self) -> str:
        """The origin that people open in their browser."""
        return self.public or f"http://{bracketed(self.host)}:{self.port}"

    def admits(self, host: str) -> bool:
        """Whether a Host header names this server; another site's name that resolves to here does not.

        A local name may have any port: at the other end of `ssh -L` the port is a different one.
        """
        name, _ = _name_and_port(host)
        return self.is_public(host) or name in LOOPBACK or name == self.host.lower()

    def is_public(self, host: str) -> bool:
        """Whether this Host header came through the proxy."""
        return bool(self.public) and _with_port(host) == _with_port(urlsplit(self.public).netloc)

    def origin_of(self, host: str) -> str:
        """The only origin allowed for pages reached under this Host header."""
        return self.public if self.is_public(host) else f"http://{host}"


def address(host: str, port: int, public_url: str | None = None) -> Address:
    """Where to listen; raises BadAddress if other machines could connect without TLS."""
    public = _public(public_url) if public_url is not None else ""
    if not public and not _is_loopback(host):
        raise BadAddress(
            f"--host {host} lets others in, and without TLS they could read everything: leave it out and "
            "use ssh -L, or put a proxy with TLS in front and name it with --public-url https://..."
        )
    return Address(host, port, public)


def bracketed(host: str) -> str:
    """The host as written in a URL."""
    return f"[{host}]" if ":" in host else host


def _public(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadAddress(f"--public-url {url}: {error}; write it like https://opus.example.org") from error
    if parts.scheme != "https":
        raise BadAddress(f"--public-url {url}: only https:// keeps the token secret in transit")
    if not parts.hostname or _more_than_an_origin(parts):
        raise BadAddress(f"--public-url {url}: a host name alone, like https://opus.example.org")
    return f"https://{bracketed(parts.hostname)}" + (f":{port}" if port not in (None, 443) else "")


def _more_than_an_origin(parts: SplitResult) -> bool:
    return parts.path not in ("", "/") or "@" in parts.netloc or bool(parts.query or parts.fragment)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _with_port(host: str) -> tuple[str, int]:
    name, port = _name_and_port(host)
    return name, 443 if port is None else port


def _name_and_port(host: str) -> tuple[str, int | None]:
    """Name and port of a Host header; an empty name for an invalid one."""
    try:
        parts = urlsplit(f"//{host}")
        named = parts.hostname if parts.netloc == host and "@" not in host else None
        return named or "", parts.port
    except ValueError:
        return "", None
