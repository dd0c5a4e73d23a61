"""Reads feed documents in a process of its own: a hostile document can hold up, or end, this one only.

It is run as a file and imports nothing of ours: that would take longer than the reading. Each document is
a line of JSON (`size`, `type`, `base`, `keywords`) and its bytes; each answer a line of JSON (`size`,
`items`, `problem`) and a line per item: its id, whether it has a keyword, and the item as JSON.
"""

import calendar
import codecs
import hashlib
import html
import io
import json
import re
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO
from urllib.parse import urljoin
from xml.sax import default_parser_list
from xml.sax.expatreader import ExpatParser

Item = dict[str, Any]

PATIENCE = 30  # seconds for one document, then this process ends
MEMORY = 1 << 30  # bytes of address space
TITLE, LINK, SUMMARY = 300, 2000, 1000  # characters kept
LOOKED_AT = 50_000  # characters of a summary: behind them there is no keyword and no word of ours

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.ASCII | re.IGNORECASE)
_DECLARED = re.compile(rb"\s{0,9}<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']", re.ASCII)
_DECLARATION = re.compile(r"\s*<\?xml[^>]{0,400}\?>")
_PAGE = re.compile(r"\s*(<\?xml[^>]{0,400}\?>\s*)?<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_HIDDEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_TAG = re.compile(r"</?[a-zA-Z!?][^<>]*>")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
    (b"\x4c\x6f\xa7\x94", "cp037"),
)
# What servers say by default, whatever the document is in.
_DOUBTFUL = frozenset({"iso8859-1", "cp1252", "ascii"})
# No encodings of documents; some of them take for ever.
_NEVER = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})


class NoFeed(ValueError):
    """The document is no feed; the text says what it is."""


# ------------------------------------------------------------------ bytes to text


def decoded(body: bytes, content_type: str) -> str:
    """The text in whatever encoding was declared, by whom ever, if it is that; else in a likely one."""
    for encoding in _encodings(body, content_type):
        try:
            return body.decode(encoding)
        except (UnicodeError, LookupError):
            continue
    return body.decode("cp1252", "replace")


def _encodings(body: bytes, content_type: str) -> Iterator[str]:
    marked = next((name for mark, name in _BOMS if body.startswith(mark)), "")
    served, declared = _CHARSET.search(content_type), _DECLARED.match(body)
    names = [served[1] if served else "", declared[1].decode() if declared else ""]
    known = [name for name in map(_known, names) if name]
    sure = [name for name in known if name not in _DOUBTFUL]
    yield from filter(None, (marked, *sure, "utf-8", *known))


def _known(name: str) -> str:
    """What Python calls the encoding; browsers read gb2312 as its superset, and so do we."""
    try:
        found = codecs.lookup(name).name if name else ""
    except LookupError:
        return ""
    if found in _NEVER or found.startswith(("utf-16", "utf-32")):  # those show in the first bytes
        return ""
    return "gb18030" if found == "gb2312" else found


# ------------------------------------------------------------------ text to items


def items(text: str, base: str) -> list[Item]:
    """What the feed holds; raises NoFeed."""
    if not text.strip("\ufeff\0 \t\r\n"):
        raise NoFeed("is empty")
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        return [_of_json(each, base) for each in _json_items(text)]
    if _PAGE.match(text):
        raise NoFeed("is a web page (HTML), not a feed")
    return [_of_entry(each, base) for each in _entries(text)]


def _entries(text: str) -> list[Mapping[str, Any]]:
    import feedparser  # type: ignore[import-untyped]  # it comes without types

    if __name__ not in default_parser_list:
        default_parser_list.insert(0, __name__)  # our `create_parser`
    document = "<?xml version='1.0' encoding='utf-8'?>\n" + _DECLARATION.sub("", text, count=1).lstrip()
    # Told where the document is from, it would join every single element with that: a fifth of the time.
    headers = {"content-type": "application/xml; charset=utf-8"}
    data = io.BytesIO(document.encode("utf-8", "replace"))
    found = feedparser.parse(data, response_headers=headers, sanitize_html=False, resolve_relative_uris=False)
    if not found.get("version") and not found["entries"]:
        raise NoFeed("is no feed")
    return list(found["entries"])


class _Buffered(ExpatParser):
    """Gives text in one piece instead of one for each `&lt;`: a quarter of the time."""

    def reset(self) -> None:
        super().reset()
        self._parser.buffer_text = True  # type: ignore[attr-defined]  # not in the stubs


def create_parser() -> ExpatParser:
    """What xml.sax asks a module of parsers for."""
    return _Buffered()


def _of_entry(entry: Mapping[str, Any], base: str) -> Item:
    content = entry.get("content") or [{}]
    summary = entry.get("summary_detail") or content[0]
    title = entry.get("title_detail") or {}
    when = entry.get("published_parsed") or entry.get("updated_parsed") or entry.get("created_parsed")
    words = _plain(summary.get("value") or entry.get("summary"), summary.get("type"))
    return {
        "title": _plain(title.get("value") or entry.get("title"), title.get("type"))[:TITLE],
        "link": _link(entry.get("link"), base),
        "published": _stamp(calendar.timegm(when)) if when else None,
        "words": words or _plain(content[0].get("value"), content[0].get("type")),
        "id": str(entry.get("id") or ""),
        "raw": entry,
    }


def _json_items(text: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(text.lstrip("\ufeff \t\r\n"))
    except (ValueError, RecursionError) as error:
        raise NoFeed("is broken JSON") from error
    if "version" not in found or not isinstance(found.get("items"), list):
        raise NoFeed("is JSON, but no JSON Feed")
    return [each for each in found["items"] if isinstance(each, dict)]


def _of_json(item: Mapping[str, Any], base: str) -> Item:
    summary, text = item.get("summary"), item.get("content_text")
    return {
        "title": _plain(item.get("title"), "text/plain")[:TITLE],
        "link": _link(item.get("url") or item.get("external_url"), base),
        "published": _iso(item.get("date_published") or item.get("date_modified")),
        "words": _plain(summary or text, "text/plain") or _plain(item.get("content_html"), "text/html"),
        "id": str(item.get("id") or ""),
        "raw": item,
    }


def _plain(value: Any, kind: str | None) -> str:
    """One line of plain text."""
    text = value[:LOOKED_AT] if isinstance(value, str) else ""
    if kind != "text/plain":
        text = html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", text)))
    return " ".join(_CONTROL.sub(" ", text).split())


def _link(value: Any, base: str) -> str:
    try:
        link = urljoin(base, value.strip()) if isinstance(value, str) and value.strip() else ""
    except ValueError:
        return ""
    return "" if re.match(r"(javascript|data|vbscript|file):", link, re.IGNORECASE) else link[:LINK]


def _iso(value: Any) -> str | None:
    try:
        found = datetime.fromisoformat(str(value))
        return _stamp((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def _stamp(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None


# ------------------------------------------------------------------ items to lines


def lines(found: Sequence[Item], keywords: Sequence[str]) -> Iterator[bytes]:
    """Each item with its id: the feed's own, as long as that is the id of one item only."""
    often = Counter(_own(item) for item in found)
    wanted = _wanted(keywords)
    for item in found:
        own = _own(item)
        named = own if often[own] == 1 and own else f"{own} {_said(item)}"
        key = hashlib.sha256(named.encode("utf-8", "replace")).hexdigest()[:16]
        yes = not keywords or bool(wanted.search(f"{item['title']} {item['words']}"))
        content = {name: item[name] for name in ("title", "link", "published")}
        content["summary"] = _cut(item["words"], SUMMARY)
        line = json.dumps(content, ensure_ascii=False) if yes else ""
        yield f"{key} {int(yes)} {line}\n".encode("utf-8", "replace")


def _own(item: Item) -> str:
    return str(item["id"] or item["link"])


def _said(item: Item) -> str:
    """What tells items apart that share an id, or have none."""
    said = "\n".join(str(item[name] or "") for name in ("link", "title", "published", "words"))
    return said if said.strip() else repr(sorted((str(k), str(v)) for k, v in item["raw"].items()))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"


def _wanted(keywords: Sequence[str]) -> re.Pattern[str]:
    """Finds a keyword as a word of its own, in any case; not all scripts have spaces between words."""
    whole = (rf"(?<![A-Za-z0-9_]){re.escape(each)}(?![A-Za-z0-9_])" for each in keywords)
    return re.compile("|".join(whole), re.IGNORECASE)


# ------------------------------------------------------------------ the process


def serve(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Answer until there is no further document."""
    while order := incoming.readline():
        asked = json.loads(order)
        body = incoming.read(asked["size"])
        _watch(PATIENCE)
        head, payload = _answer(body, asked)
        _watch(0)
        outgoing.write(json.dumps({**head, "size": len(payload)}).encode() + b"\n" + payload)
        outgoing.flush()


def _answer(body: bytes, asked: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    try:
        found = items(decoded(body, asked["type"]), asked["base"])
    except NoFeed as error:
        return {"problem": str(error), "items": 0}, b""
    return {"problem": "", "items": len(found)}, b"".join(lines(found, asked["keywords"]))


def _watch(seconds: int) -> None:
    """No Python code runs while a regular expression is at work, so it is the system that ends us."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _bound_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):  # not there, or less is allowed already
        return


if __name__ == "__main__":
    _bound_memory()
    serve(sys.stdin.buffer, sys.stdout.buffer)
