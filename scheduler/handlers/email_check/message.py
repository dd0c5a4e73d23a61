"""Decodes the headers of a raw message, in any encoding."""

import codecs
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header

from scheduler.handlers.charsets import codec_of, fits
from scheduler.handlers.email_check.rules import addresses

BODY = 20_000  # characters of the text that are kept
LINE = 500  # characters of a header that are kept
HEADER = 2000  # bytes of a header that are examined: patterns are slow on long lines of junk

_UNICODE = re.compile("utf|ucs")
_SPLIT = re.compile(r"(=\?([^?\s]+)\?[bB]\?[^?=\s]*)\?=\s*=\?\2\?[bB]\?")  # between two encoded words
_FOLD = re.compile(rb"\r?\n[ \t]+")
_SAYS_NOTHING = frozenset(("", "ascii", "us-ascii"))  # about bytes beyond ASCII


@dataclass(frozen=True, slots=True)
class MailHeaders:
    """The headers of one message, as text; `key` identifies the message in every run and folder."""

    key: str
    id: str = ""
    sender: str = ""
    addresses: tuple[str, ...] = ()
    subject: str = ""
    date: str = ""


def read_headers(raw: bytes, facts: str = "") -> MailHeaders:
    """The values of these header lines; missing ones are empty.

    `facts`, the arrival time and size, distinguish messages without an id.
    """
    found = headers(raw)
    charset = _declared(found)
    line = {name: _undeclared(value, charset) for name, value in found.items()}
    return MailHeaders(
        key=_key(found, facts),
        id="".join(line.get("message-id", "").split())[:LINE] if _id(found) else "",
        sender=one_line(decoded(line.get("from", ""))),
        addresses=addresses(line.get("from", "")),
        subject=one_line(decoded(line.get("subject", ""))),
        date=one_line(line.get("date", "")),
    )


def headers(raw: bytes) -> dict[str, bytes]:
    """Unfolded header lines by lower-case name; the first of several with one name."""
    found: dict[str, bytes] = {}
    for line in _FOLD.sub(b" ", raw).splitlines():
        name, colon, value = line.partition(b":")
        if not name.strip():
            break
        if colon:
            key = name.strip().decode("ascii", "replace").lower()
            found.setdefault(key, b" ".join(value.split())[:HEADER])
    return found


def header(raw: bytes, name: str) -> str:
    """One decoded header of a whole message."""
    found = headers(raw)
    return one_line(decoded(_undeclared(found.get(name, b""), _declared(found))))


def decoded(line: str) -> str:
    """The line with its encoded words (=?utf-8?q?...?=) decoded; adjacent ones may share a character."""
    try:
        parts = decode_header(line)
    except HeaderParseError:  # base64 cut short, or split in the middle of a group
        whole = _SPLIT.sub(r"\1", line)
        return decoded(whole) if whole != line else line
    return "".join(part if isinstance(part, str) else _word(part, charset) for part, charset in parts)


def _word(data: bytes, charset: str | None) -> str:
    """Decode the text between encoded words, which the library returns in its own encoding."""
    return (
        to_text(data, charset.partition("*")[0]) if charset else data.decode("raw-unicode-escape", "replace")
    )


def to_text(data: bytes, charset: str) -> str:
    """The bytes as text in this charset; if it is unknown, as UTF-8 or else as Windows would."""
    name = charset.strip("\"' ").lower()
    codec = "" if name in _SAYS_NOTHING else codec_of(name) or (name if _UNICODE.match(name) else "")
    if codec == "utf-8" and not fits(data, codec):  # the label is wrong, as where programs convert nothing
        codec = ""
    found = _try(data, codec) if codec else None
    return found if found is not None else _undeclared(data)


def _undeclared(data: bytes, charset: str = "") -> str:
    """The text of bytes in an unknown charset; `charset` is that of the body."""
    if b"\x1b$" in data:
        charset = charset or "iso-2022-jp"
    elif (found := _utf8(data)) is not None:
        return found
    return to_text(data, charset) if charset else data.decode("cp1252", "replace")


def _utf8(data: bytes) -> str | None:
    """The text of UTF-8, which may be cut off inside its last character; None if it is anything else."""
    try:
        text, used = codecs.utf_8_decode(data, "strict", False)
    except UnicodeDecodeError:
        return None
    return text if used == len(data) or not text.isascii() else None  # else a lone é of Windows at the end


def one_line(text: str) -> str:
    """The text on one line of limited length, without control characters or lone surrogates."""
    whole = text.encode("utf-8", "replace").decode()
    return " ".join("".join(char if char.isprintable() else " " for char in whole).split())[:LINE]


def _try(data: bytes, charset: str) -> str | None:
    try:
        return data.decode(charset, "replace")
    except (LookupError, ValueError):
        return None


def _declared(found: Mapping[str, bytes]) -> str:
    """The charset of the body, probably used by undeclared headers, too."""
    match = re.search(rb'charset\s*=\s*"?([\w.:+-]{1,40})', found.get("content-type", b""), re.IGNORECASE)
    name = match[1].decode("ascii", "replace").lower() if match else ""
    return "" if name in ("utf-8", "us-ascii", "ascii") else name


def _key(found: Mapping[str, bytes], facts: str) -> str:
    """The key: from the Message-ID, or else from sender, date, subject and the facts."""
    named = (found.get(name, b"") for name in ("from", "date", "subject"))
    ident = _id(found)
    source = b"id\0" + ident if ident else b"\0".join((*named, *([facts.encode()] if facts else [])))
    return hashlib.sha256(source).hexdigest()[:32]


def _id(found: Mapping[str, bytes]) -> bytes:
    """The Message-ID, "" for the `<>` that some senders write."""
    ident = b"".join(found.get("message-id", b"").split())
    return ident if re.search(rb"[^<>@\"'\s]", ident) else b""
