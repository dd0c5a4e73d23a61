"""The token that browsers and scrapers need, and the cookie that a browser gets for it."""

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from scheduler.errors import SchedulerError

MIN_LENGTH = 32  # characters of a token
FILE_LIMIT = 4096  # bytes of a token file
COOKIE_LASTS = 30 * 86400  # seconds


class BadToken(SchedulerError):
    """A token file that cannot be used; the text names the fix."""

    code = "bad-token"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Checks tokens and cookies; the time it takes is the same, whatever is wrong with them."""

    token: str = field(repr=False)

    def is_token(self, given: str) -> bool:
        return hmac.compare_digest(_digest(given), _digest(self.token))

    def cookie(self, now: float) -> str:
        """A cookie for a month; it stays valid as long as the token does, also over restarts."""
        return self._signed(str(int(now) + COOKIE_LASTS))

    def is_cookie(self, given: str, now: float) -> bool:
        ends, _, _ = given.partition(".")
        genuine = hmac.compare_digest(_digest(given), _digest(self._signed(ends)))
        return genuine and float(ends) > now  # a signed end is a number

    def cookie_name(self, secure: bool) -> str:
        """Browsers bind a `__Host-` cookie to one host with TLS; each token has a name of its own."""
        return f"{'__Host-' if secure else ''}experience-{_digest('name ' + self.token).hex()[:8]}"

    def _signed(self, ends: str) -> str:
        signature = hmac.digest(self.token.encode(), f"cookie {ends}".encode("utf-8", "replace"), "sha256")
        return f"{ends}.{signature.hex()}"


def _digest(text: str) -> bytes:
    """A hash, of the same length for any text, so that the time of a comparison reveals nothing."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


# ------------------------------------------------------------------ the file


def default_file() -> Path:
    from platformdirs import user_state_path

    return user_state_path("experience") / "serve.token"


def token_in(file: Path, *, new: bool = False) -> str:
    """The token in the file, created at the first start; `new` replaces it. Raises BadToken, OSError."""
    if new:
        file.unlink(missing_ok=True)
    try:
        return _read(file)
    except FileNotFoundError:
        _make(file)
        return _read(file)  # which another server may have created at the same moment


def _read(file: Path) -> str:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BadToken(f"{file}: not a regular file; name another with --token-file")
        if status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o077:
            raise BadToken(f"{file}: others can read or change it; chmod 600 it, then --new-token")
        token = os.read(descriptor, FILE_LIMIT).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    if len(token) < MIN_LENGTH or not token.isascii() or not token.isprintable() or " " in token:
        raise BadToken(
            f"{file}: a token is a line of at least {MIN_LENGTH} letters and digits; --new-token creates one"
        )
    return token


def _make(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, secrets.token_urlsafe(32).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(partial, file)  # atomic, and never over an existing one
    except FileExistsError:
        return
    finally:
        partial.unlink()
