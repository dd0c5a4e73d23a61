"""Whether a message cannot wait: its sender and its subject against the settings."""

import re
import unicodedata
from collections.abc import Iterable

from scheduler.schema.values import InvalidValue, text

URGENT, HIGH = "urgent", "high"  # the sender counts for more than words that anybody may write

_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)"(\s*@)?')
_COMMENT = re.compile(r"\((?:\\.|[^()\\])*\)")
_ADDRESS = re.compile(r'[^\s@,;<>"]+@[^\s@,;<>"]+')


def priority(
    senders: Iterable[str], subject: str, urgent_from: Iterable[str], urgent_subjects: Iterable[str]
) -> str:
    """URGENT for a sender that is named, HIGH for a subject with one of the words, "" for what can wait."""
    if any(_is_from(sender, wanted) for sender in senders for wanted in urgent_from):
        return URGENT
    folded = normalize_words(subject)
    return HIGH if any(_contains_words(folded, normalize_words(words)) for words in urgent_subjects) else ""


def addresses(header: str) -> tuple[str, ...]:
    """The addresses in a From header, in one spelling.

    Read strictly, before encoded words are decoded: a display name that looks like an address is none.
    """
    plain = re.sub(r"\s*@\s*", "@", _without_comments(_QUOTED.sub(_unquoted, header)))
    found = (_address(entry) for entry in re.split(r"[,;]", plain))
    return tuple(address for address in found if address)


def normalize_address(address: str) -> str:
    """Lower case, the domain as DNS writes it."""
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
    """For comparing: without regard to case, width and spacing."""
    return " ".join(unicodedata.normalize("NFKC", words).casefold().split())


def _is_from(address: str, wanted: str) -> bool:
    return address.endswith(wanted) if wanted.startswith("@") else address == wanted


def _contains_words(subject: str, words: str) -> bool:
    """Whole words, so that `help` is not in `helpful`."""
    if not words:
        return False
    pattern = _edge(words[0], "<!") + re.escape(words) + _edge(words[-1], "!")
    return re.search(pattern, subject) is not None


def _edge(char: str, direction: str) -> str:
    """The edge of a word; Chinese and Japanese are written without spaces and have no such edge."""
    wide = unicodedata.east_asian_width(char) in "WF"
    return "" if wide or not (char.isalnum() or char == "_") else rf"(?{direction}\w)"


def _address(entry: str) -> str:
    """The one address of an entry; what is ambiguous has none."""
    bracketed = re.findall(r"<([^<>]*)>", entry)
    words = (bracketed[-1].rpartition(":")[2] if bracketed else entry.rpartition(":")[2]).split()
    found = [word for word in words if _ADDRESS.fullmatch(word)]
    return normalize_address(found[0]) if len(found) == 1 and (not bracketed or len(words) == 1) else ""


def _unquoted(quoted: re.Match[str]) -> str:
    """Nothing of a display name; of a quoted local part what needs no quotes."""
    if not quoted[2]:
        return " "
    return f"{quoted[1]}@" if re.fullmatch(r"[\w.+-]+", quoted[1]) else '"@'


def _without_comments(header: str) -> str:
    """Comments nest, so they go from the inside out."""
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
