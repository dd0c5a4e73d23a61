"""Decides whether a failure is a refusal of a service, of which kind, and until when."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from scheduler.agents.refusals.refusal_rule import RefusalRule, Rules
from scheduler.agents.refusals.reset_in_headers import moment_in_headers, moment_of
from scheduler.agents.refusals.reset_in_text import moment_in_text

# The meaning of a status where the words match no rule.
_STATUS = {
    **dict.fromkeys((401, 403), ("auth", "no")),
    402: ("billing", "no"),
    413: ("context", "no"),
    429: ("rate_limit", "yes"),
    **dict.fromkeys((500, *range(502, 505), *range(520, 525), 529), ("overloaded", "yes")),
}
_NAMED_STATUS = re.compile(
    r"(?:\bhttp(?:/[\d.]+)?|\bstatus[ _]?(?:code)?|\berror(?: code)?|\"code|<title>)[\s:=\"']*([45]\d\d)\b|"
    r"\(([45]\d\d)\)|(?:^|[\"'])\W*([45]\d\d)(?= status code| (?-i:[A-Z{]))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why a call failed: its words, and whatever else is known."""

    text: str = ""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    resets_at: float | None = None  # given by the service as a number, Unix seconds


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal; `wait`: whether waiting can help, until `retry_at` (Unix seconds; None if not named)."""

    kind: str
    wait: bool
    retry_at: float | None = None


def find_refusal(failure: Failure, now: float, zone: tzinfo, more: Rules = ()) -> Refusal | None:
    """The refusal behind this failure, None if it is none; `zone` is for texts that name no time zone.

    The rules in `more` are tried before the built-in ones.
    """
    text = " ".join(failure.text.replace("’", "'").split())
    status = failure.status or _named_status(text)
    said = f"{text} status {status}" if status else text
    rule = next((rule for rule in (*more, *_rules()) if rule.fits(said)), None) or _by_status(status)
    if rule is None:
        return None
    if rule.wait == "no":
        return Refusal(rule.kind, wait=False)
    zone = ZoneInfo(rule.zone) if rule.zone else zone
    moment = _moment(failure, text, now, zone, spans=rule.spans)
    kind = "usage_limit" if "anthropic-ratelimit-unified-reset" in failure.headers else rule.kind
    return Refusal(kind, wait=rule.wait == "yes" or moment is not None, retry_at=moment)


def _named_status(text: str) -> int:
    found = _NAMED_STATUS.search(text)
    return int(found[1] or found[2] or found[3]) if found else 0


def _by_status(status: int) -> RefusalRule | None:
    return RefusalRule(*_STATUS[status], ()) if status in _STATUS else None


def _moment(failure: Failure, text: str, now: float, zone: tzinfo, *, spans: bool) -> float | None:
    """The most reliable moment: the service's own number, else a header's, else the text's."""
    if failure.resets_at and (moment := moment_of(failure.resets_at, now)):
        return moment
    return moment_in_headers(failure.headers, now) or moment_in_text(text, now, zone, spans=spans)


@cache
def _rules() -> Rules:
    with Path(__file__).with_name("refusals.toml").open("rb") as file:
        data = tomllib.load(file)
    return tuple(RefusalRule(**{**each, "patterns": tuple(each["patterns"])}) for each in data["refusal"])
