"""Parses feed documents in a separate process: a hostile document can hang or kill only this one.

It runs as a file and imports nothing of this package, which would take longer than the parsing. A request is
a line of JSON (`size`, `type`, `base`, `keywords`, `feed`, `mark`) and the bytes of the document; an answer
is a line of JSON: the `problem` or the `lines`, for each item its key and its line ("" without a keyword).
"""

import calendar
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

Item = dict[str, Any]

PATIENCE = 30  # seconds for one document, then this process ends
MEMORY = 1 << 30  # bytes of address space
TITLE, LINK, SUMMARY = 300, 2000, 1000  # characters kept
LOOKED_AT = 50_000  # characters of a summary that are searched for keywords

_CHARSET = re.compile(r"charset\s*=\s*[\"']?[\w.:-]{1,40}", re.ASCII | re.IGNORECASE)
_PAGE = re.compile(rb"\s*(<\?xml[^>]{0,400}\?>\s*)?<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_HIDDEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_TAG = re.compile(r"</?[a-zA-Z!?][^<>]*>")


class NotAFeed(ValueError):
    """The document is not a feed; the text says what it is."""


# ------------------------------------------------------------------ the document to items


def items(body: bytes, content_type: str, base: str) -> list[Item]:
    """The items of the feed; raises NotAFeed."""
    start = body[:1000].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if not body.strip(b"\0 \t\r\n"):
        raise NotAFeed("is empty")
    if start.startswith(b"{"):
        return [_of_json(each, base) for each in _json_items(body)]
    if _PAGE.match(start):
        raise NotAFeed("is a web page (HTML), not a feed")
    return [_of_entry(each, base) for each in _entries(body, content_type)]


def _entries(body: bytes, content_type: str) -> list[Mapping[str, Any]]:
    import feedparser  # type: ignore[import-untyped]  # it comes without types

    charset = _CHARSET.search(content_type)
    # No content-location: joining it with every element would take a fifth of the time.
    headers = {"content-type": f"application/xml; {charset[0]}" if charset else "application/xml"}
    data = io.BytesIO(body)
    found = feedparser.parse(data, response_headers=headers, sanitize_html=False, resolve_relative_uris=False)
    if not found.get("version") and not found["entries"]:
        raise NotAFeed("is not a feed")
    return list(found["entries"])


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


def _json_items(body: bytes) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(body.strip(b" \t\r\n"))
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


def lines(found: Sequence[Item], feed: str, mark: str, keywords: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The key and the line of each item: the feed's own id, as long as only one item has it."""
    often = Counter(_own_id(item) for item in found)
    wanted = _any_of(keywords)
    for item in found:
        own = _own_id(item)
        named = own if often[own] == 1 and own else f"{own} {_distinction(item)}"
        key = hashlib.sha256(named.encode("utf-8", "replace")).hexdigest()[:16]
        content = {name: item[name] for name in ("title", "link", "published")}
        content["summary"] = _cut(item["words"], SUMMARY)
        line = json.dumps({"feed": feed, "id": mark + key, **content}, ensure_ascii=False)
        yield key, line if wanted.search(f"{item['title']} {item['words']}") else ""


def _own_id(item: Item) -> str:
    return str(item["id"] or item["link"])


def _distinction(item: Item) -> str:
    """What distinguishes items that share an id, or have none."""
    text = "\n".join(str(item[name] or "") for name in ("link", "title", "published", "words"))
    return text if text.strip() else repr(sorted((str(k), str(v)) for k, v in item["raw"].items()))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"


def _any_of(keywords: Sequence[str]) -> re.Pattern[str]:
    """Finds a keyword as a word of its own, in any case; not all scripts have spaces between words."""
    whole = (rf"(?<![A-Za-z0-9_]){re.escape(each)}(?![A-Za-z0-9_])" for each in keywords)
    return re.compile("|".join(whole), re.IGNORECASE)


# ------------------------------------------------------------------ the process


def serve(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Answer until there is no further document."""
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
    return {"lines": list(lines(found, about["feed"], about["mark"], about["keywords"]))}


def _end_after(seconds: int) -> None:
    """No Python code runs while a regular expression is at work, so the system ends this process."""
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
