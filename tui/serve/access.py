"""Who gets in: decided from the request and the time alone."""

from dataclasses import dataclass, field
from enum import StrEnum

from tui.serve.address import Address
from tui.serve.credentials import Credentials

ALLOWED = 10  # wrong tokens at once
FORGIVEN_AFTER = 6.0  # seconds until one of them is forgotten
ADDRESSES = 1000  # remembered; the one that was quiet longest is forgotten first


class Decision(StrEnum):
    """What happens to a request."""

    ADMITTED = "admitted"
    EXCHANGE = "exchange"  # the link's token is right: exchange it for a cookie, out of the address bar
    BAD_HOST = "host"
    BAD_ORIGIN = "origin"
    WRONG = "token"
    NOTHING = "nothing"  # neither token nor cookie
    WAIT = "wait"  # too many wrong tokens came from there


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """What a request states about itself; None for a missing header."""

    peer: str = ""
    host: str = ""
    origin: str | None = None
    socket: bool = False
    link: str | None = None
    bearer: str | None = None
    cookie: str | None = None


@dataclass(slots=True)
class Failures:
    """Counts wrong tokens by address; time is an argument and only rises."""

    _until: dict[str, float] = field(default_factory=dict)  # when all of an address is forgotten

    def __len__(self) -> int:
        return len(self._until)

    def wrong(self, address: str, now: float) -> None:
        until = max(self._until.pop(address, now), now)
        self._until[address] = until + FORGIVEN_AFTER
        while len(self._until) > ADDRESSES:
            del self._until[next(iter(self._until))]

    def wait(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0 if it may now."""
        owed = self._until.get(address, now) - now
        return max(0.0, owed - (ALLOWED - 1) * FORGIVEN_AFTER)


class AccessPolicy:
    """Remembers only wrong tokens; every decision is a function of the request and the time."""

    def __init__(self, address: Address, credentials: Credentials) -> None:
        self.address, self.credentials = address, credentials
        self.failures = Failures()

    def decide(self, request: AccessRequest, now: float, elapsed: float) -> Decision:
        """`now` is the wall clock, for cookies; `elapsed` only rises."""
        if not self.address.admits(request.host):
            return Decision.BAD_HOST
        if not self._origin_fits(request):
            return Decision.BAD_ORIGIN
        if request.cookie is not None and self.credentials.is_cookie(request.cookie, now):
            return Decision.ADMITTED if request.link is None else Decision.EXCHANGE
        token = request.link if request.bearer is None else request.bearer
        if token is None:
            return Decision.NOTHING
        if self.failures.wait(request.peer, elapsed):
            return Decision.WAIT  # the right token, too: else a guesser could go on
        if not self.credentials.is_token(token):
            self.failures.wrong(request.peer, elapsed)
            return Decision.WRONG
        return Decision.EXCHANGE if request.bearer is None else Decision.ADMITTED

    def _origin_fits(self, request: AccessRequest) -> bool:
        """Browsers name the page that opens a WebSocket: nothing else keeps other sites' pages away."""
        if request.origin is None:
            return not request.socket
        return request.origin == self.address.origin_of(request.host)
