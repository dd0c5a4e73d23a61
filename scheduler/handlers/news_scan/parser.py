"""Parses feed documents in a separate process, the only one that a hostile document can hang or kill.

It imports little of this package, since imports would take longer than the parsing. A request is a line of
JSON (`size`, `type`, `base`, `keywords`, `feed`, `mark`) and the bytes of the document. An answer is a line
of JSON: the `problem`, or the `lines`: each item's keys and line ("" without a keyword).
"""

import hashlib
import html
import io
import json
import re
import signal
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO
from urllib.parse import urljoin

from scheduler.handlers.charsets import codec_of, fits
from scheduler.handlers.news_scan.dates import ODD, moment_of
from scheduler.handlers.news_scan.invalid_xml import PROLOGUE, pairs_joined, repaired

Item = dict[str, Any]

PATIENCE = 30  # seconds for one document, after which this process ends
MEMORY = 1 << 30  # bytes of address space
MOST = 10 << 20  # bytes of a document
TITLE, LINK, SUMMARY = 300, 2000, 1000  # characters kept
LOOKED_AT = 50_000  # characters of a summary that are searched for keywords

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.ASCII | re.IGNORECASE)
_DECLARED = re.compile(rb"<\?xml[^>]{0,400}?encoding\s*=\s*[\"']\s*([\w.:-]{1,40})", re.IGNORECASE)
_DECLARATION = re.compile(r"<\?xml\b[^>]{0,400}?\?>\s*", re.IGNORECASE)
_FEED = re.compile(r"<\?xml\b|<(?:\w{1,20}:)?(?:rss|feed|rdf)\b", re.IGNORECASE)
_ROOT = re.compile(r"<(?:\w{1,20}:)?(?:rss|feed|rdf|channel)\b", re.IGNORECASE)
_PAGE = re.compile(
    r"\s*(?:<\?xml[^>]{0,400}\?>\s*)?(?:<!--.{0,4000}?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_ITEM = re.compile(r"<((?:\w{1,20}:)?(?:item|entry))\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
# A channel's picture in an item: the library would take its title and link for the item's.
_PICTURE = re.compile(
    r"<image>(?:(?!</?(?:item|image|channel)\b|<!\[CDATA\[).){0,4000}</image\s*>", re.IGNORECASE | re.DOTALL
)
_HIDDEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_TAG = re.compile(r"</?[a-zA-Z!?][^<>]*>")
_WEB_PAGE = "is a web page (HTML), not a feed"
_DATES = [f"{name}{how}" for name in ("published", "updated", "created") for how in ("", "_parsed")]


class NotAFeed(ValueError):
    """The document is not a feed; the text says what it is."""


# ------------------------------------------------------------------ the document to items


def items(body: bytes, content_type: str, base: str) -> list[Item]:
    """The items of the feed; raises NotAFeed."""
    body = _inflated(body)
    if not body.strip(b"\0 \t\r\n"):
        raise NotAFeed("is empty")
    text = decoded(body, content_type).lstrip("\ufeff \t\r\n")
    if text.startswith("{"):
        return _made(_of_json, _json_items(text), base)
    page = _PAGE.match(text[:PROLOGUE])
    if page and not _ROOT.search(text, 0, PROLOGUE):
        raise NotAFeed(_WEB_PAGE)
    return _made(_of_entry, _entries(text, bool(page)), base)


def _inflated(body: bytes) -> bytes:
    """The document in a compressed file, which some servers send without saying so; at most MOST bytes."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    try:
        return zlib.decompressobj(wbits=31).decompress(body, MOST)
    except zlib.error as error:
        raise NotAFeed("is a compressed file that cannot be read") from error


def _made(make: Callable[[Any, str], Item], found: Iterable[Any], base: str) -> list[Item]:
    """The items made of these entries, without the entries that fail."""
    made = []
    for each in found:
        try:
            made.append(make(each, base))
        except ODD:
            continue
    return made


def _entries(text: str, page: bool) -> list[Mapping[str, Any]]:
    text = _PICTURE.sub("", repaired(_DECLARATION.sub("", text[_start(text) :], count=1)))
    places = [each.span() for each in _ITEM.finditer(text)] or [(0, len(text))]
    head, tail = text[: places[0][0]], text[places[-1][1] :]
    inside = [text[begin:end] for begin, end in places]
    try:
        found = _parsed(text)
    except ODD:
        return _parsed_apart(head, inside, tail)
    if found["bozo"] and 0 < len(found["entries"]) < len(inside):  # a tag without its end swallows the rest
        return [entry for one in inside for entry in _parsed_apart(head, [one], tail)]
    if not found.get("version") and not found["entries"]:
        raise NotAFeed(_WEB_PAGE if page else "is not a feed")
    return list(found["entries"])


def _start(text: str) -> int:
    """The position where the feed begins, since some servers print warnings before it."""
    found = _FEED.search(text, 0, PROLOGUE)
    return found.start() if found and "<!" not in text[: found.start()] else 0


def _parsed(text: str) -> Mapping[str, Any]:
    import feedparser  # type: ignore[import-untyped]  # it comes without types

    data = io.BytesIO(f'<?xml version="1.0" encoding="utf-8"?>{text}'.encode())
    # No content-location: joining it with every element would take a fifth of the time.
    headers = {"content-type": "application/xml; charset=utf-8"}
    found: Mapping[str, Any] = feedparser.parse(
        data, response_headers=headers, sanitize_html=False, resolve_relative_uris=False
    )
    return found


def _parsed_apart(head: str, found: Sequence[str], tail: str) -> list[Mapping[str, Any]]:
    """The items without those at which the parser fails, found by halving."""
    try:
        return list(_parsed(f"{head}{''.join(found)}{tail}")["entries"])
    except ODD:
        middle = len(found) // 2
        halves = (found[:middle], found[middle:]) if middle else ()
        return [entry for half in halves for entry in _parsed_apart(head, half, tail)]


# ------------------------------------------------------------------ bytes to text

_MARKS = {
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"<\0\0\0": "utf-32-le",
    b"\0\0\0<": "utf-32-be",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
    b"\x4c\x6f\xa7\x94": "cp037",
}


def decoded(body: bytes, content_type: str) -> str:
    """The document as text; a broken character becomes U+FFFD without garbling the others.

    Valid UTF-8 is read as UTF-8, whatever the document declares: no other text looks like it by chance.
    """
    for mark, charset in _MARKS.items():
        if body.startswith(mark):
            return body.decode(charset, "replace")
    served, declared = _CHARSET.search(content_type), _DECLARED.search(body[:PROLOGUE])
    named = [served[1] if served else "", declared[1].decode() if declared else ""]
    charsets = [charset for name in named if (charset := codec_of(name))]
    in_ascii = any(charset.startswith(("iso2022", "hz")) for charset in charsets)  # would pass for UTF-8
    tried = [*charsets, "utf-8"] if in_ascii else ["utf-8", *charsets]
    return body.decode(next((each for each in tried if fits(body, each)), "cp1252"), "replace")


# ------------------------------------------------------------------ entries to items


def _of_entry(entry: dict[str, Any], base: str) -> Item:
    content = entry.get("content") or [{}]
    summary = entry.get("summary_detail") or content[0]
    title = entry.get("title_detail") or {}
    dates = (dict.get(entry, name) for name in _DATES)  # the entries' own `get` mixes names up, and warns
    words = _plain(summary.get("value") or entry.get("summary"), summary.get("type"))
    return {
        "title": _plain(title.get("value") or entry.get("title"), title.get("type"))[:TITLE],
        "link": _link(entry.get("link"), base),
        "published": next((moment for date in dates if date and (moment := moment_of(date))), None),
        "words": words or _plain(content[0].get("value"), content[0].get("type")),
        "id": str(entry.get("id") or ""),
        "raw": entry,
    }


def _json_items(text: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(text.rstrip("\0 \t\r\n"), strict=False)
    except (ValueError, RecursionError) as error:
        raise NotAFeed("is invalid JSON") from error
    if "version" not in found or not isinstance(found.get("items"), list):
        raise NotAFeed("is JSON, but not a JSON Feed")
    return [each for each in found["items"] if isinstance(each, dict)]


def _of_json(item: Mapping[str, Any], base: str) -> Item:
    summary, text = item.get("summary"), item.get("content_text")
    return {
        "title": _plain(item.get("title"), "text/plain")[:TITLE],
        "link": _link(item.get("url") or item.get("external_url"), base),
        "published": moment_of(item.get("date_published")) or moment_of(item.get("date_modified")),
        "words": _plain(summary or text, "text/plain") or _plain(item.get("content_html"), "text/html"),
        "id": str(item.get("id") or ""),
        "raw": item,
    }


def _plain(value: Any, kind: str | None) -> str:
    """The value as one line of plain text."""
    text = value[:LOOKED_AT] if isinstance(value, str) else ""
    if kind != "text/plain":
        text = html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", pairs_joined(text))))
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return " ".join(_CONTROL.sub(" ", text).split())


def _link(value: Any, base: str) -> str:
    try:
        link = urljoin(base, value.strip()) if isinstance(value, str) and value.strip() else ""
    except ValueError:
        return ""
    return "" if re.match(r"(javascript|data|vbscript|file):", link, re.IGNORECASE) else link[:LINK]


# ------------------------------------------------------------------ items to lines


def lines(
    found: Sequence[Item], feed: str, mark: str, keywords: Sequence[str]
) -> Iterator[tuple[list[str], str]]:
    """The keys and the line of each item."""
    wanted = _any_of(keywords)
    for item in found:
        keys = _keys(item)
        content = {name: item[name] for name in ("title", "link", "published")}
        content["summary"] = _cut(item["words"], SUMMARY)
        line = json.dumps({"feed": feed, "id": mark + keys[-1], **content}, ensure_ascii=False)
        yield keys, line if wanted.search(f"{item['title']} {item['words']}") else ""


def _keys(item: Item) -> list[str]:
    """The keys that identify the item: from its id alone, then from more and more of its content.

    No key depends on the other items in the feed, which come and go.
    """
    own, more = str(item["id"] or item["link"]), _distinction(item, "link", "title", "published")
    whole = _distinction(item, "link", "title", "published", "words")
    if not whole.strip():
        whole = repr(sorted((str(k), str(v)) for k, v in item["raw"].items()))
    texts = (own, f"{own}\n{more}", f"{own} {whole}") if own else (f" {whole}",)
    return [hashlib.sha256(each.encode("utf-8", "replace")).hexdigest()[:16] for each in texts]


def _distinction(item: Item, *names: str) -> str:
    return "\n".join(str(item[name] or "") for name in names)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"


def _any_of(keywords: Sequence[str]) -> re.Pattern[str]:
    """A pattern for whole keywords in any case; only ASCII letters bound them: some scripts use no spaces."""
    whole = (rf"(?<![A-Za-z0-9_]){re.escape(each)}(?![A-Za-z0-9_])" for each in keywords)
    return re.compile("|".join(whole), re.IGNORECASE)


# ------------------------------------------------------------------ the process


def serve(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Answer requests until there are no more."""
    while request := incoming.readline():
        about = json.loads(request)
        body = incoming.read(about["size"])
        _end_after(PATIENCE)
        answer = json.dumps(_answer(body, about))
        _end_after(0)
        outgoing.write(answer.encode() + b"\n")
        outgoing.flush()


def _answer(body: bytes, about: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = items(body, about["type"], about["base"])
    except NotAFeed as error:
        return {"problem": str(error)}
    except ODD as error:
        return {"problem": f"cannot be parsed: {type(error).__name__}"}
    return {"lines": list(lines(found, about["feed"], about["mark"], about["keywords"]))}


def _end_after(seconds: int) -> None:
    """Have the system end this process then: no Python code can while a regular expression runs."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _bound_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):  # no such limit, or a lower one is set already
        return


if __name__ == "__main__":
    _bound_memory()
    serve(sys.stdin.buffer, sys.stdout.buffer)
