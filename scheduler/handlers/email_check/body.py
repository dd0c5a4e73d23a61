"""Finds the letter in a raw message: the text that a mail program shows, whatever its MIME structure."""

import re
from collections.abc import Callable, Iterable
from email import message_from_bytes
from email.message import Message

from scheduler.handlers.email_check.flowed import unflowed
from scheduler.handlers.email_check.message import to_text
from scheduler.handlers.email_check.page import declared_charset, without_tags
from scheduler.handlers.email_check.sloppy import content, tidy_fields, with_whole_header

# Texts that no program shows as the letter; they count only if there is nothing else.
_NO_LETTER = {
    *("calendar", "x-vcalendar", "vcard", "x-vcard", "directory", "x-amp-html", "css"),
    *("rfc822-headers", "rfc822-header"),
}
_BOUNDARY = re.compile(r"^--(\S[^\r\n]{0,199}?)[ \t]*\r?\n(?=content-)", re.MULTILINE | re.IGNORECASE)

# The kinds that are not text; senders that have the kind wrong write `plain/text`.
_NO_TEXT = {"application", "audio", "font", "haptics", "image", "message", "model", "multipart", "video"}
_REPORTS = {f"message/{each}" for each in ("delivery-status", "disposition-notification", "feedback-report")}
_MESSAGES = {f"message/{each}" for each in ("rfc822", "global", "partial")}

Wanted = Callable[[Message], str]


def body(raw: bytes) -> str:
    """The text of a message, which may be cut off after its beginning; "" if it has none."""
    try:
        return _body_of(message_from_bytes(with_whole_header(raw)))
    except (LookupError, ValueError, TypeError, RecursionError):
        return ""  # untrusted input can break the parser


def _body_of(message: Message) -> str:
    texts = (_gathered(message, wanted) for wanted in (_letter, _status, _forwarded, _any_text))
    return next(filter(None, texts), "")


def _gathered(part: Message, wanted: Wanted) -> str:
    """The wanted text in the part and in the parts within it, in order; "" if all of it is blank."""
    part = _with_parts(tidy_fields(part))
    if part.get_content_maintype() != "multipart" or not part.is_multipart():
        return wanted(part)
    kind, within = part.get_content_subtype(), part.get_payload()
    parts = [each for each in within if isinstance(each, Message)]
    texts = (_gathered(each, wanted) for each in (_best_first(parts) if kind == "alternative" else parts))
    found = filter(None, texts)
    # In a related part, all but the first are its pictures and styles.
    return next(found, "") if kind in ("alternative", "related") else "\n".join(found)


def _best_first(parts: Iterable[Message]) -> list[Message]:
    """Plain text first, then the others from the last, which is the richest."""
    return sorted(reversed([*parts]), key=lambda each: each.get_content_type() != "text/plain")


def _with_parts(part: Message) -> Message:
    """The part itself; without a boundary, or with a wrong one, parsed again by the one in its text."""
    payload = part.get_payload()
    if part.get_content_maintype() != "multipart" or not isinstance(payload, str):
        return part
    found = _BOUNDARY.search(payload)
    quoted = re.sub(r'(["\\])', r"\\\1", found[1]) if found else ""
    kind = f'multipart/{part.get_content_subtype()}; boundary="{quoted}"' if found else "text/plain"
    return message_from_bytes(f"Content-Type: {kind}\n\n{payload}".encode("utf-8", "surrogateescape"))


def _letter(part: Message) -> str:
    return "" if part.get_content_subtype() in _NO_LETTER else _any_text(part)


def _any_text(part: Message) -> str:
    attached = part.get_content_disposition() == "attachment"
    is_text = part.get_content_maintype() not in _NO_TEXT
    return _text_of(part) if is_text and not attached else ""


def _status(part: Message) -> str:
    """The blocks of a report by a machine; the parser takes each of them for a message."""
    inner = part.get_payload()
    if part.get_content_type() not in _REPORTS or not isinstance(inner, list):
        return ""
    return "\n".join(str(each).strip() for each in inner if isinstance(each, Message))


def _forwarded(part: Message) -> str:
    """The text of a whole message within this one."""
    inner = part.get_payload()
    if part.get_content_type() not in _MESSAGES or not isinstance(inner, list):
        return ""
    within = (_decoded(part, each) for each in inner if isinstance(each, Message))
    return "\n".join(filter(None, map(_body_of, within)))


def _decoded(outer: Message, inner: Message) -> Message:
    """The message within, decoded first where a server has encoded all of it."""
    encoding = outer["Content-Transfer-Encoding"]
    if inner.keys() or encoding is None:
        return inner
    inner["Content-Transfer-Encoding"] = encoding
    data = inner.get_payload(decode=True)
    return message_from_bytes(data) if isinstance(data, bytes) else inner


def _text_of(part: Message) -> str:
    data, kind = content(part), part.get_content_subtype()
    charset = part.get_content_charset() or (declared_charset(data) if kind == "html" else "")
    text = to_text(data, charset).replace("\r\n", "\n").replace("\r", "\n")
    if kind in ("html", "x-amp-html", "enriched", "richtext"):
        text = without_tags(text)
    elif str(part.get_param("format", "")).lower() == "flowed":
        text = unflowed(text, str(part.get_param("delsp", "")).lower() == "yes")
    return "".join(char if char.isprintable() or char in "\n\t" else " " for char in text).strip()
