"""Decides by sender and subject, as set in the settings, whether a message is urgent."""

import re
import unicodedata
from collections.abc import Iterable

from scheduler.schema.values import InvalidValue, text

URGENT, HIGH = "urgent", "high"  # by sender, and by words, which count less since anybody can write them

_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)"(\s*@)?')
_COMMENT = re.compile(r"\((?:\\.|[^()\\])*\)")
_ADDRESS = re.compile(r'[^\s@,;<>"]+@[^\s@,;<>"]+')


def priority(
    senders: Iterable[str], subject: str, urgent_from: Iterable[str], urgent_subjects: Iterable[str]
) -> str:
    """URGENT for a listed sender, HIGH for a subject with a listed word, "" for any other message."""
    if any(_is_from(sender, wanted) for sender in senders for wanted in urgent_from):
        return URGENT
    folded = normalize_words(subject)
    return HIGH if any(_contains_words(folded, normalize_words(words)) for words in urgent_subjects) else ""


def addresses(header: str) -> tuple[str, ...]:
    """The addresses in a From header, in one spelling.

    Read strictly, before encoded words are decoded, so that a display name never counts as an address.
    """
    plain = re.sub(r"\s*@\s*", "@", _without_comments(_QUOTED.sub(_unquoted, header)))
    found = (_address(entry) for entry in re.split(r"[,;]", plain))
    return tuple(address for address in found if address)


def normalize_address(address: str) -> str:
    """The address in lower case, its domain as DNS writes it."""
    local, _, domain = address.rpartition("@")
    return f"{local.lower()}@{_domain(domain)}"


def sender(value: object) -> str:
    """Reads one entry of `urgent_from`: an address, or a domain as `@example.org`."""
    given = text(value).strip()
    entry = given if "@" in given else f"@{given}"
    local, domain = entry.rsplit("@", 1)
    if not re.fullmatch(r'[^\s@,;<>*"]*', local) or not re.fullmatch(r"[\w-]+(\.[\w-]+)*\.?", domain):
        raise InvalidValue(
            f"{given!r} is neither an address nor a domain; write ct@example.org or example.org"
        )
    return normalize_address(entry)


def normalize_words(words: str) -> str:
    """The words for comparison, without differences of case, width and spacing."""
    return " ".join(unicodedata.normalize("NFKC", words).casefold().split())


def _is_from(address: str, wanted: str) -> bool:
    return address.endswith(wanted) if wanted.startswith("@") else address == wanted


def _contains_words(subject: str, words: str) -> bool:
    """Whether the subject has them as whole words: `help` is not in `helpful`."""
    if not words:
        return False
    pattern = _edge(words[0], "<!") + re.escape(words) + _edge(words[-1], "!")
    return re.search(pattern, subject) is not None


def _edge(char: str, direction: str) -> str:
    """A pattern for the edge of a word, empty for Chinese and Japanese, which use no spaces."""
    wide = unicodedata.east_asian_width(char) in "WF"
    return "" if wide or not (char.isalnum() or char == "_") else rf"(?{direction}\w)"


def _address(entry: str) -> str:
    """The only address of an entry, "" if it is ambiguous."""
    bracketed = re.findall(r"<([^<>]*)>", entry)
    words = (bracketed[-1].rpartition(":")[2] if bracketed else entry.rpartition(":")[2]).split()
    found = [word for word in words if _ADDRESS.fullmatch(word)]
    return normalize_address(found[0]) if len(found) == 1 and (not bracketed or len(words) == 1) else ""


def _unquoted(quoted: re.Match[str]) -> str:
    """The replacement of a quoted text: blank for a display name, a local part without needless quotes."""
    if not quoted[2]:
        return " "
    return f"{quoted[1]}@" if re.fullmatch(r"[\w.+-]+", quoted[1]) else '"@'


def _without_comments(header: str) -> str:
    """Remove comments from the inside out, since they nest."""
    while header != (less := _COMMENT.sub(" ", header)):
        header = less
    return header


def _domain(domain: str) -> str:
    name = domain.rstrip(".").lower()
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name
