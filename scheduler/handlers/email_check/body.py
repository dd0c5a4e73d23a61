"""Finds the letter in a raw message: the text that a mail program shows, whatever its MIME structure."""

from email import message_from_bytes
from email.message import Message

from scheduler.handlers.email_check.message import to_text
from scheduler.handlers.email_check.page import without_tags


def body(raw: bytes) -> str:
    """The text of a message of which perhaps only the beginning is here; "" if there is none in it."""
    try:
        parts = [part for part in message_from_bytes(raw).walk() if _is_text(part)]
        plain = [part for part in parts if part.get_content_subtype() != "html"]
        return _text_of(plain[0]) if plain else without_tags(_text_of(parts[0])) if parts else ""
    except (LookupError, ValueError, TypeError, RecursionError):
        return ""  # untrusted input can break the parser


def _is_text(part: Message) -> bool:
    attached = part.get_content_disposition() == "attachment" or part.get_filename()
    return part.get_content_maintype() == "text" and not attached


def _text_of(part: Message) -> str:
    data = part.get_payload(decode=True)
    text = to_text(data if isinstance(data, bytes) else b"", part.get_content_charset() or "")
    return "".join(
        char if char.isprintable() or char in "\n\t" else " " for char in text.replace("\r\n", "\n")
    ).strip()
