"""The options of `offsite_backup`: what its table in the settings may hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.core.secrets import Sensitive
from scheduler.schema.table import key
from scheduler.schema.values import InvalidValue, kind, pairs, path, percent, secret, text, whole

NEEDS = ("repository|directory",)


LINES = """\
directory = "/mnt/backup"                # a .tar.gz each time; or restic: encrypted, and only what is new
# repository = "sftp:me@vault.example.org:/backups/opus"
# password = "${RESTIC_PASSWORD}"        # from .env
"""


def address(value: Any) -> Sensitive:
    """A restic repository; it may hold a password, so it is shown nowhere."""
    place = text(value)
    if ":" not in place and not place.startswith("/"):
        raise InvalidValue(
            'names no repository; write a whole path, or an address that restic knows, like "s3:..."'
        )
    return secret(value)


def secrets(value: Any) -> dict[str, Sensitive]:
    """A table of environment variables whose values are shown nowhere."""
    return {name: secret(each) for name, each in pairs(value).items()}


def share(value: Any) -> float:
    """Per cent, 0 included."""
    return 0.0 if value in (0, "0", "0%") and not isinstance(value, bool) else percent(value)


def patterns(value: Any) -> tuple[str, ...]:
    """What to leave out: names, or paths from the home on; `*` and `?` stand for anything within a name."""
    if not isinstance(value, list):
        raise InvalidValue(f'is {kind(value)}; write it as a list, like ["*.tmp", "data/raw"]')
    for each in map(text, value):
        parts = each.strip("/").split("/")
        if "**" in each or "\n" in each or not all(parts) or {".", ".."} & {*parts}:
            raise InvalidValue(f'{each!r} is no pattern; write a name like "*.tmp" or a path like "data/raw"')
    return tuple(value)


@dataclass(frozen=True, slots=True)
class Options:
    """The keys of `[tasks.offsite_backup]` beside those of every task."""

    repository: str | None = key(address)
    password: str | None = key(secret)
    environment: Mapping[str, str] | None = key(secrets)
    check: float = key(share, 10.0)  # per cent of the repository's data that are read back each time
    directory: Path | None = key(path)  # noqa: RUF009  # a field, not a shared value
    keep: int = key(whole(1, 10_000), 14)
    exclude: tuple[str, ...] = key(patterns, ())

    def __post_init__(self) -> None:
        if self.repository and self.directory:
            raise InvalidValue("has both repository and directory; keep one of them")
        if self.directory and (self.password or self.environment):
            raise InvalidValue("has a password or environment, which go with repository; remove them")
