"""Who gets in: decided from the request and the time alone."""

from dataclasses import dataclass, field
from enum import StrEnum

from tui.serve.address import Address
from tui.serve.credentials import Credentials


class Decision(StrEnum):
    """What becomes of a request."""

    ADMITTED = "admitted"
    EXCHANGE = (
        "exchange"  # the token of the link was right: a cookie for it, and the link leaves the address bar
    )
    BAD_HOST = "host"
    BAD_ORIGIN = "origin"
    WRONG = "token"  # one that is not ours
    NOTHING = "nothing"  # neither token nor cookie
    WAIT = "wait"  # too many wrong ones came from there


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """What a request says of itself; None for a header that is not there."""

    peer: str = ""
    host: str = ""
    origin: str | None = None
    socket: bool = False
    link: str | None = None
    bearer: str | None = None
    cookie: str | None = None


class AccessPolicy:
    """Remembers only who guessed; every decision is a function of the request and the time."""

    def __init__(self, address: Address, credentials: Credentials) -> None:
        self.address, self.credentials = address, credentials
        self._failures = Failures()

    def verdict(self, asked: AccessRequest, now: float, elapsed: float) -> Decision:
        """`now` is the wall clock, for cookies; `elapsed` only rises."""
        if not self.address.admits(asked.host):
            return Decision.BAD_HOST
        if not self._origin_fits(asked):
            return Decision.BAD_ORIGIN
        if asked.cookie is not None and self.credentials.is_cookie(asked.cookie, now):
            return Decision.ADMITTED if asked.link is None else Decision.EXCHANGE
        return self._of_token(asked, elapsed)

    def wait(self, peer: str, elapsed: float) -> float:
        """Seconds until tokens from there are looked at again."""
        return self._failures.wait(peer, elapsed)

    def _of_token(self, asked: AccessRequest, elapsed: float) -> Decision:
        token = asked.link if asked.bearer is None else asked.bearer
        if token is None:
            return Decision.NOTHING
        if self.wait(asked.peer, elapsed):
            return Decision.WAIT  # the right one too: else this would not hold up who guesses
        if not self.credentials.is_token(token):
            self._failures.wrong(asked.peer, elapsed)
            return Decision.WRONG
        return Decision.EXCHANGE if asked.bearer is None else Decision.ADMITTED

    def _origin_fits(self, asked: AccessRequest) -> bool:
        """Browsers name the page that opens a WebSocket: nothing else keeps other sites' pages away."""
        if asked.origin is None:
            return not asked.socket
        return asked.origin == self.address.origin_of(asked.host)


ALLOWED = 10  # wrong tokens at once


FORGIVEN_AFTER = 6.0  # seconds until one of them is forgotten


ADDRESSES = 1000  # remembered; the ones that were quiet longest are forgotten first


@dataclass(slots=True)
class Failures:
    """Counts what was wrong by address; time is an argument and only rises."""

    _until: dict[str, float] = field(default_factory=dict)  # when all of an address is forgotten

    def wrong(self, address: str, now: float) -> None:
        until = max(self._until.pop(address, now), now)
        self._until[address] = until + FORGIVEN_AFTER
        while len(self._until) > ADDRESSES:
            del self._until[next(iter(self._until))]

    def wait(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0 if it may now."""
        owed = self._until.get(address, now) - now
        return max(0.0, owed - (ALLOWED - 1) * FORGIVEN_AFTER)
