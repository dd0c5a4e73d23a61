"""Puts right what senders write beside the standard: mail programs understand it, the library does not."""

import binascii
import re
from email.message import Message

_BLANK = re.compile(rb"\r?\n[ \t]*\r?\n")
_NEXT_LINE = re.compile(rb"\r?\n(?![ \t])")
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_USUAL = re.compile(
    rb"(?:content-|mime-|x-|from|to|cc|subject|date|received|message-id|reply-to)[\w-]*[ \t]*:", re.IGNORECASE
)
_COMMENT = re.compile(r"\([^()]*\)")
_LANGUAGE = re.compile(r"(\bcharset)\*=[\w-]*'[\w-]*'", re.IGNORECASE)  # RFC 2231; the library fails on it
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


def with_whole_header(raw: bytes) -> bytes:
    """The message with all its header lines: for the library, the first odd line ends the header.

    Odd are a line without a name, a space before the colon, and blank lines before the header. A Mac of old
    ended lines with carriage returns alone.
    """
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    bare = raw.lstrip(b"\r\n")
    raw = bare if _USUAL.match(bare) else raw
    blank = _BLANK.search(raw)
    if blank is None:
        return raw
    lines = _NEXT_LINE.split(raw[: blank.start()])
    fields = [at for at, line in enumerate(lines) if _FIELD.match(line)]
    if not any(_USUAL.match(lines[at]) for at in fields[-1:]) or fields[-1] + 1 < len(lines):
        return raw  # the odd line may be the first one of the text
    return b"\n".join(_FIELD.sub(rb"\1:", lines[at], count=1) for at in fields) + raw[blank.start() :]


def tidy_fields(part: Message) -> Message:
    """The part, with its type and encoding written as the library expects: no comments, no stray marks."""
    for name in ("Content-Type", "Content-Transfer-Encoding"):
        value = part[name]
        if value is None:
            continue
        first, semicolon, more = str(value).partition(";")
        plain = re.sub(r"[\s\"']+", "", _COMMENT.sub("", first))
        more = _LANGUAGE.sub(r"\1=", more)
        del part[name]
        part[name] = f"{plain}{semicolon}{more}" if name == "Content-Type" else plain
    return part


def content(part: Message) -> bytes:
    """The decoded bytes of the part, also where its base64 is cut off in the middle of a group."""
    encoded = part.get_payload()
    if str(part["Content-Transfer-Encoding"]).lower() != "base64" or not isinstance(encoded, str):
        data = part.get_payload(decode=True)
        return data if isinstance(data, bytes) else b""
    letters, _, _ = encoded.encode("ascii", "replace").partition(b"=")
    letters = _NO_BASE64.sub(b"", letters)
    letters = letters[: -1 if len(letters) % 4 == 1 else None]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
