"""Who has access: decided from the request and the time alone."""

from dataclasses import dataclass, field
from enum import StrEnum

from tui.serve.address import Address
from tui.serve.credentials import Credentials

ALLOWED = 10  # wrong tokens at once
FORGIVEN_AFTER = 6.0  # seconds until one of them is forgotten
ADDRESSES = 1000  # addresses remembered; the one whose last wrong token is oldest is forgotten first


class Decision(StrEnum):
    """What happens to a request."""

    ADMITTED = "admitted"
    EXCHANGE = "exchange"  # the link's token is right: exchange it for a cookie, out of the address bar
    BAD_HOST = "host"
    BAD_ORIGIN = "origin"
    WRONG_TOKEN = "token"
    NO_TOKEN = "nothing"  # no cookie, either
    TOO_MANY = "wait"  # wrong tokens from this address


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
    """Counts wrong tokens by address; `now` is elapsed time."""

    _until: dict[str, float] = field(
        default_factory=dict
    )  # when all wrong tokens of an address are forgotten

    def __len__(self) -> int:
        return len(self._until)

    def record(self, address: str, now: float) -> None:
        until = max(self._until.pop(address, now), now)
        self._until[address] = until + FORGIVEN_AFTER
        while len(self._until) > ADDRESSES:
            del self._until[next(iter(self._until))]

    def retry_after(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0 if it may now."""
        left = self._until.get(address, now) - now
        return max(0.0, left - (ALLOWED - 1) * FORGIVEN_AFTER)


class AccessPolicy:
    """Decides about requests; its only memory is of wrong tokens."""

    def __init__(self, address: Address, credentials: Credentials) -> None:
        self.address, self.credentials = address, credentials
        self.failures = Failures()

    def decide(self, request: AccessRequest, now: float, elapsed: float) -> Decision:
        """`now` is the time of the wall clock, for cookies; `elapsed` never goes back."""
        if not self.address.admits(request.host):
            return Decision.BAD_HOST
        if not self._is_own_origin(request):
            return Decision.BAD_ORIGIN
        if request.cookie is not None and self.credentials.is_cookie(request.cookie, now):
            return Decision.ADMITTED if request.link is None else Decision.EXCHANGE
        token = request.link if request.bearer is None else request.bearer
        if token is None:
            return Decision.NO_TOKEN
        if self.failures.retry_after(request.peer, elapsed):
            return Decision.TOO_MANY  # refuses the right token, too: a guesser must not find it
        if not self.credentials.is_token(token):
            self.failures.record(request.peer, elapsed)
            return Decision.WRONG_TOKEN
        return Decision.EXCHANGE if request.bearer is None else Decision.ADMITTED

    def _is_own_origin(self, request: AccessRequest) -> bool:
        """Whether it comes from a page of this server; browsers always name the origin of a WebSocket."""
        if request.origin is None:
            return not request.socket
        return request.origin == self.address.origin_of(request.host)
