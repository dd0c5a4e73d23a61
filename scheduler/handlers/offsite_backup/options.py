"""The options of `offsite_backup`: the keys of its table in the settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import model_validator

from scheduler.core.secrets import Sensitive
from scheduler.schema.table import Table, key
from scheduler.schema.values import (
    InvalidValue,
    integer,
    listed,
    path,
    percent,
    reads,
    reads_list,
    secret,
    secret_pairs,
    text,
)

NEEDS = ("repository|directory",)


LINES = """\
directory = "/mnt/backup"                # a .tar.gz each time; or restic: encrypted, and only what is new
# repository = "sftp:me@vault.example.org:/backups/opus"
# password = "${RESTIC_PASSWORD}"        # from .env
"""


@reads(type="string")
def address(value: Any) -> Sensitive:
    """A restic repository, never shown since it may contain a password."""
    place = text(value)
    if ":" not in place and not place.startswith("/"):
        raise InvalidValue(
            'names no repository; write a whole path, or an address that restic knows, like "s3:..."'
        )
    return secret(value)


@percent.variant
def share(value: Any) -> float:
    """A share in per cent, which may be 0."""
    return 0.0 if value in (0, "0", "0%") and not isinstance(value, bool) else percent(value)


@reads_list()
def patterns(value: Any) -> tuple[str, ...]:
    """The files to leave out: names, or paths relative to the home; `*` and `?` match within a name."""
    for each in map(text, listed(value, '["*.tmp", "data/raw"]')):
        parts = each.strip("/").split("/")
        if "**" in each or "\n" in each or not all(parts) or {".", ".."} & {*parts}:
            raise InvalidValue(
                f'{each!r} is not a pattern; write a name like "*.tmp" or a path like "data/raw"'
            )
    return tuple(value)


class Options(Table):
    """The keys of `[tasks.offsite_backup]` in addition to those of every task."""

    repository: Annotated[str | None, address] = key(
        None, "A restic repository: a whole path, sftp:, rest:, s3:, b2:, rclone:..."
    )
    password: Annotated[str | None, secret] = key(None, "What opens the repository; a secret.")
    environment: Annotated[Mapping[str, str] | None, secret_pairs] = key(
        None, "Variables for restic's back end; secrets."
    )
    check: Annotated[float, share] = key(
        10.0, "How much of the repository's data each run reads back; per cent."
    )
    directory: Annotated[Path | None, path] = key(None, "A folder for .tar.gz archives.")
    keep: Annotated[int, integer(1, 10_000)] = key(14, "How many backups stay.")
    exclude: Annotated[tuple[str, ...], patterns] = key(
        (), 'What else to leave out: names like "*.tmp", or paths from the home on.'
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.repository and self.directory:
            raise InvalidValue("has both repository and directory; keep one of them")
        if self.directory and (self.password or self.environment):
            raise InvalidValue("has a password or environment, which go with repository; remove them")
        return self
