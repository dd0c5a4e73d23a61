"""news_scan: every kind of feed, each item once, hostile documents harmless, and what it may cost."""

import asyncio
import gzip
import json
import os
import re
import time
from pathlib import Path
from xml.sax.saxutils import escape

import feedparser
import psutil
import pytest

from scheduler.core.secrets import Sensitive
from scheduler.core.task import Context, Report
from scheduler.errors import TaskFailed
from scheduler.handlers.news_scan import files as news_files
from scheduler.handlers.news_scan import parser, parser_pool
from scheduler.handlers.news_scan.feed_state import KEPT, MOST, FeedMemory
from scheduler.handlers.news_scan.files import NewsFiles
from scheduler.handlers.news_scan.handler import news_scan
from scheduler.handlers.news_scan.options import Options
from scheduler.handlers.news_scan.parser import NotAFeed, items, lines
from scheduler.handlers.news_scan.parser_pool import parsers
from scheduler.handlers.registry import built_in
from scheduler.schema.table import Problems, read
from tests.each import each
from tests.fakes import NOON, until
from tests.handlers.net.web_servers import Reply, nginx, site

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "feeds"
SECRET = "s3cr3t-t0ken"


def rss(*entries: str, head: str = '<?xml version="1.0"?>') -> bytes:
    body = "".join(f"<item>{entry}</item>" for entry in entries)
    return f'{head}<rss version="2.0"><channel><title>t</title>{body}</channel></rss>'.encode()


def item(number: int | str, text: str = "") -> str:
    rest = f"<guid>id-{number}</guid><description>{text}</description>"
    return f"<title>Item {number}</title><link>/i/{number}</link>{rest}"


def options(**given) -> Options:
    problems = Problems({})
    found = read(Options, given, ("tasks", "news_scan"), problems)
    assert problems.found == []
    return found


async def scan(home: Path, feeds: object, **given) -> str | Report:
    return await news_scan(Context("opus", home, "news_scan", options(feeds=feeds, **given)))


def news(home: Path) -> list[dict]:
    files = sorted((home / "news").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def titles(home: Path) -> list[str]:
    return sorted(each["title"] for each in news(home))


async def in_words(home: Path, feeds: object, **given) -> str:
    found = await scan(home, feeds, **given)
    assert isinstance(found, str), found
    return found


# ------------------------------------------------------------------ a real server


@pytest.mark.needs("nginx")
@pytest.mark.timeout(60)
async def test_every_sample_once_and_then_nothing_new(tmp_path):
    if not SAMPLES.is_dir():
        pytest.skip("the shared samples are not here")
    files = sorted(file for file in SAMPLES.rglob("*") if file.is_file())
    with nginx(SAMPLES) as there:
        feeds = {f.name: f"{there.base}/{f.relative_to(SAMPLES)}" for f in files}
        first = await scan(tmp_path, feeds)
        asked = len(there.statuses())
        second = await scan(tmp_path, feeds)
        again = there.statuses()[asked:]
    expected = {f.name: count(f.read_bytes()) for f in files}
    found = news(tmp_path)
    assert {name: sum(each["feed"] == name for each in found) for name in expected} == expected
    assert sum(expected.values()) > 400
    assert len({each["id"] for each in found}) == len(found)
    assert isinstance(first, Report) and first.text.startswith(f"{len(found)} new items from ")
    assert isinstance(second, Report) and second.text.startswith(f"nothing new in {len(files)} feeds")
    bad = int(re.search(r"; (\d+) with problems", second.text)[1])
    assert again.count(304) == len(files) - bad


def count(content: bytes) -> int:
    """The items of a document, found without a parser."""
    if content.lstrip()[:1] == b"{":
        try:
            found = json.loads(content)
        except ValueError:
            return 0
        return len(found["items"]) if "version" in found else 0
    return len(re.findall(rb"<(?:\w+:)?(?:item|entry)[\s>]", content))


@pytest.mark.needs("nginx")
@pytest.mark.timeout(60)
async def test_what_fifty_feeds_of_a_hundred_items_cost(tmp_path):
    text = escape("<p>Some words with <b>markup</b> in them. </p>" * 6)
    (tmp_path / "feeds").mkdir()
    for number in range(50):
        content = rss(*(item(f"{number}-{each}", text) for each in range(100)))
        (tmp_path / "feeds" / f"{number}.rss").write_bytes(content)
    home = tmp_path / "home"
    home.mkdir()
    with nginx(tmp_path / "feeds") as there:
        feeds = [f"{there.base}/{number}.rss" for number in range(50)]
        watch = asyncio.create_task(Watch().go())
        used = sum(os.times()[:4])
        before = psutil.Process().memory_info().rss
        assert await in_words(home, feeds) == "5,000 new items from 50 of 50 feeds"
        used = sum(os.times()[:4]) - used
        grown = psutil.Process().memory_info().rss - before
        watch.cancel()
        seen: Watch = await watch
        assert await in_words(home, feeds) == "nothing new in 50 feeds"
    floor = sum(os.times()[:2])
    for file in (tmp_path / "feeds").iterdir():
        feedparser.parse(file.read_bytes())
    floor = sum(os.times()[:2]) - floor
    assert used < 2 * floor  # the parser alone, in this process
    assert grown + seen.most < 60 << 20
    assert seen.work < 0.2
    assert len({each["id"] for each in news(home)}) == 5000


class Watch:
    """The most work of the loop's thread between two turns, and the most memory of children.

    Work, not time: on a busy machine a turn waits for others, too.
    """

    work, most = 0.0, 0

    async def go(self) -> "Watch":
        done, looked = time.thread_time(), time.perf_counter()
        try:
            while True:
                await asyncio.sleep(0.01)
                self.work = max(self.work, time.thread_time() - done)
                if time.perf_counter() - looked > 0.1:
                    self.most, looked = max(self.most, _private()), time.perf_counter()
                done = time.thread_time()
        except asyncio.CancelledError:
            return self


def _private() -> int:
    total = 0
    for child in psutil.Process().children():
        if any("news_scan.parser" in word for word in _words(child)):
            try:
                total += child.memory_full_info().uss
            except psutil.Error:
                continue
    return total


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


# ------------------------------------------------------------------ each item once


async def test_new_items_are_written_once(tmp_path):
    async with site() as there:
        url = there.at("/f", Reply(rss(item(1), item(2))), Reply(rss(item(3), item(2), item(1))))
        assert await in_words(tmp_path, {"mine": url}) == "2 new items from 1 of 1 feed"
        assert await in_words(tmp_path, {"mine": url}) == "1 new item from 1 of 1 feed"
        assert await in_words(tmp_path, {"mine": url}) == "nothing new in 1 feed"
    assert titles(tmp_path) == ["Item 1", "Item 2", "Item 3"]
    (file,) = (tmp_path / "news").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    first = news(tmp_path)[0]
    assert first.keys() == {"feed", "id", "title", "link", "published", "summary"}
    assert first["feed"] == "mine" and first["link"] == there.base + "/i/1"


async def test_conditions_are_those_of_the_server(tmp_path):
    headers = {"ETag": '"x"', "Last-Modified": "Mon, 02 Mar 2026 12:00:00 GMT"}
    async with site() as there:
        url = there.at("/f", Reply(rss(item(1)), headers=headers), Reply(status=304))
        await in_words(tmp_path, [url])
        assert await in_words(tmp_path, [url]) == "nothing new in 1 feed"
        assert "if-none-match" not in there.asked[0][1]
        assert there.asked[1][1]["if-none-match"] == '"x"'
        assert there.asked[1][1]["if-modified-since"] == headers["Last-Modified"]


async def test_items_that_share_an_id_are_not_lost(tmp_path):
    async with site() as there:
        same = "<title>{}</title><guid>same</guid>"
        url = there.at("/f", Reply(rss(*(same.format(each) for each in "abca"), "", "<title>x</title>")))
        await in_words(tmp_path, [url])
    assert titles(tmp_path) == ["", "a", "b", "c", "x"]


async def test_two_feeds_may_have_items_of_the_same_id(tmp_path):
    async with site() as there:
        feeds = [there.at(place, Reply(rss(item(1)))) for place in ("/a", "/b")]
        assert await in_words(tmp_path, feeds) == "2 new items from 2 of 2 feeds"


async def test_a_scan_that_was_killed_before_it_could_remember(tmp_path):
    async with site() as there:
        url = there.at("/f", Reply(rss(item(1))))
        await in_words(tmp_path, [url])
        (tmp_path / ".experience" / "feeds.json").unlink()
        (file,) = (tmp_path / "news").iterdir()
        with file.open("a") as lines:
            lines.write('{"half a li')
        url = there.at("/f", Reply(rss(item(1), item(2))))
        assert await in_words(tmp_path, [url]) == "1 new item from 1 of 1 feed"
    assert [line[:8] for line in file.read_text().splitlines()] == ['{"feed":', '{"half a', '{"feed":']


async def test_keywords(tmp_path):
    texts = ["said", "about AI.", "AI技術", "flood  WARNING", "flooded", "Überschwemmung hier"]
    async with site() as there:
        url = there.at("/f", Reply(rss(*(item(n, text) for n, text in enumerate(texts)))))
        await in_words(tmp_path, [url], keywords=["ai", "flood warning", "überschwemmung"])
    assert titles(tmp_path) == ["Item 1", "Item 2", "Item 3", "Item 5"]


# ------------------------------------------------------------------ what a feed may be

ATOM = b"""<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><entry><id>urn:1</id>
<title type="html">Tom &amp;amp; &lt;i&gt;Jerry&lt;/i&gt;</title><link href="a/1"/>
<updated>2026-03-02T13:00:00+01:00</updated>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>One</p><p>two</p></div></content></entry></feed>"""
RDF = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"><channel/>
<item><title>R</title><link>http://example.org/r</link></item></rdf:RDF>"""
RSS09 = b"""<rss version="0.91"><channel>
<item><title>Nine</title><link>http://example.org/9</link></item></channel></rss>"""
JSON = b"""{"version": "https://jsonfeed.org/version/1.1", "items": [3, {"id": 1, "title": "J <b>",
 "content_html": "<script>x()</script>Hi&nbsp;<b>you</b><!-- no -->", "url": "/j",
 "date_published": "2026-03-02T12:00:00Z"}]}"""


@each(
    ("body", "expected"),
    [
        (ATOM, ("Tom & Jerry", "/f/a/1", "2026-03-02T12:00:00+00:00", "One two")),
        (RDF, ("R", "http://example.org/r", None, "")),
        (RSS09, ("Nine", "http://example.org/9", None, "")),
        (JSON, ("J <b>", "/j", "2026-03-02T12:00:00+00:00", "Hi you")),
        (rss("<title>cut <b>off</title>")[:-20], ("cut off", "", None, "")),
        (rss("<title>a &nbsp; b &bogus; \x08 c</title>"), ("a b &bogus; c", "", None, "")),
        (rss("<title>x</title><link>javascript:alert(1)</link>"), ("x", "", None, "")),
    ],
)
async def test_every_kind_of_feed_becomes_plain_text(tmp_path, body, expected):
    async with site() as there:
        await in_words(tmp_path, [there.at("/f/", Reply(body))])
        (found,) = news(tmp_path)
        link = found["link"].removeprefix(there.base)
    assert (found["title"], link, found["published"], found["summary"]) == expected


WORDS = "Grüße, 中文, Здравствуй"


ENCODINGS = (
    ("utf-8", "utf-8", "", WORDS),
    ("utf-8", "", "", WORDS),
    ("utf-8-sig", "iso-8859-1", "", WORDS),
    ("utf-8", "", "iso-8859-1", WORDS),
    ("utf-8", "", "us-ascii", WORDS),
    ("utf-8", "x-nonsense", "x-nonsense", WORDS),
    ("utf-8", "idna", "punycode", WORDS),
    ("utf-16", "utf-16", "", WORDS),
    ("utf-16-le", "", "", WORDS),
    ("utf-16-be", "utf-16", "", WORDS),
    ("utf-32", "utf-32", "", WORDS),
    ("gb18030", "gb2312", "", WORDS),
    ("gb18030", "", "gb2312", WORDS),
    ("big5", "big5", "", "中文"),
    ("shift_jis", "shift_jis", "", "日本語"),
    ("iso-2022-jp", "iso-2022-jp", "", "日本語"),
    ("euc-kr", "", "euc-kr", "한국어"),
    ("koi8-r", "koi8-r", "utf-8", "Здравствуй"),
    ("windows-1251", "windows-1251", "", "Здравствуй"),
    ("iso-8859-1", "iso-8859-1", "", "Grüße"),
    ("iso-8859-1", "", "", "Grüße"),
    ("windows-1252", "", "", "„Grüße“ – 5 €"),
    ("windows-1252", "utf-8", "utf-8", "„Grüße“ – 5 €"),
    ("cp037", "cp037", "", "Hello"),
)


def test_every_encoding():
    for encoding, declared, served, words in ENCODINGS:
        head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else "<?xml version='1.0'?>"
        body = rss(f"<title>{words}</title>", head=head).decode().encode(encoding)
        (found,) = items(body, f"text/xml; charset={served}" if served else "text/xml", "http://a/")
        assert found["title"] == words, (encoding, declared, served)


@each(
    ("reply", "words"),
    [
        (Reply(b""), "is empty"),
        (Reply(b" \n\0"), "is empty"),
        (
            Reply(b"<!DOCTYPE html><html><item><title>x</title></item></html>"),
            "is a web page (HTML), not a feed",
        ),
        (Reply(b"hello"), "is not a feed"),
        (Reply(b"\x89PNG\r\n\x1a\n" + bytes(range(256))), "is not a feed"),
        (Reply(b"{"), "is invalid JSON"),
        (Reply(b"{" * 100_000), "is invalid JSON"),
        (Reply(b'{"version": "x"}'), "is JSON, but not a JSON Feed"),
        (Reply(b"gone", 410), "is gone for good (HTTP 410)"),
        (Reply(b"", 404), "is not there (HTTP 404)"),
        (Reply(rss(item(1)), 500), "answers HTTP 500"),
        (Reply(b"", 304), "answers HTTP 304"),
        (Reply(b"x" * (11 << 20)), "is longer than 10 MiB"),
        (Reply(rss(item(1)), drip=1), "no answer within 0.5 s"),
    ],
)
async def test_a_bad_feed_is_named_and_the_others_count(tmp_path, reply, words):
    async with site() as there:
        bad, good = there.at("/bad", reply), there.at("/good", Reply(rss(item(1))))
        found = await scan(tmp_path, {"good": good, "bad": bad}, patience="0.5s" if reply.drip else "9s")
        assert found == Report(f"1 new item from 1 of 2 feeds; 1 with problems: bad: {words}", warning=True)
        with pytest.raises(TaskFailed, match=re.escape(f"no news from 1 feed: bad: {words}")):
            await scan(tmp_path, {"bad": bad}, patience="0.5s" if reply.drip else "9s")


async def test_gzip_inside_and_outside(tmp_path):
    async with site() as there:
        url = there.at("/f", Reply(gzip.compress(rss(item(1))), headers={"Content-Encoding": "gzip"}))
        assert await in_words(tmp_path, [url]) == "1 new item from 1 of 1 feed"


# ------------------------------------------------------------------ hostile documents


def bomb(levels: int) -> bytes:
    deeper = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, levels))
    head = f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY e0 "boom">{deeper}]>'
    return rss(f"<title>a&e{levels - 1};</title>", head=head)


@pytest.mark.timeout(60)
async def test_bombs_and_outside_entities_are_harmless(tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    async with site() as there:
        there.default = lambda path: Reply(SECRET.encode())
        for outside in (f"file://{tmp_path}/secret", f"{there.base}/entity"):
            head = f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY x SYSTEM "{outside}">]>'
            url = there.at("/f", Reply(rss("<title>a&x;b</title>", head=head)))
            await scan(tmp_path, {"f": url})
        dtd = f'<?xml version="1.0"?><!DOCTYPE rss SYSTEM "{there.base}/dtd">'
        await scan(tmp_path, {"dtd": there.at("/g", Reply(rss(item(1), head=dtd)))})
        await scan(tmp_path, {"bomb": there.at("/h", Reply(bomb(12)))})
        assert {path for path, _ in there.asked} == {"/f", "/g", "/h"}
    assert SECRET not in "".join(map(str, news(tmp_path)))
    assert sum(file.stat().st_size for file in (tmp_path / "news").iterdir()) < 10_000


@pytest.mark.timeout(60)
async def test_a_document_that_takes_for_ever_is_that_documents_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(parser_pool, "PATIENCE", 1.0)
    hostile = b"<rss><channel><item><title>" + b"<!-- " * 400_000
    monkeypatch.setattr(parser_pool, "PROGRAM", (str(slow(tmp_path)),))
    async with site() as there:
        feeds = {"slow": there.at("/slow", Reply(hostile)), "good": there.at("/good", Reply(rss(item(1))))}
        found = await scan(tmp_path, feeds)
    words = "slow: cannot be parsed: it takes too long, or too much memory"
    assert found == Report(f"1 new item from 1 of 2 feeds; 1 with problems: {words}", warning=True)
    assert not slow_ones()


def slow(folder: Path) -> Path:
    """The reader, but with a regular expression that does not end for long documents."""
    program = Path(parser.__file__).read_text()
    trap = 're.match(r"(a+)+$", "a" * 99 + "b") if len(body) > 100_000 else 0'
    trap = f"def _answer(body, about):\n    {trap}\n    return _answered(body, about)\n\n\n"
    file = folder / "feed_slow.py"
    file.write_text(program.replace("def _answer(", f"{trap}def _answered("))
    return file


def slow_ones() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "feed_slow" in " ".join(_words(child))]


async def test_a_process_that_dies_costs_one_document():
    about = {"type": "", "base": "http://a/", "feed": "f", "mark": "m", "keywords": []}
    async with parsers() as parse:
        first = await parse(rss(item(1)), about)
        (process,) = [
            child for child in psutil.Process().children() if "news_scan.parser" in " ".join(_words(child))
        ]
        process.kill()
        assert "cannot be parsed" in (await parse(rss(item(1)), about))["problem"]
        assert await parse(rss(item(1)), about) == first and len(first["lines"]) == 1
    assert not process.is_running()


async def test_a_cancelled_scan_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(parser_pool, "PROGRAM", (str(slow(tmp_path)),))
    async with site() as there:
        url = there.at("/f", Reply(rss(item(1, "x" * 200_000))))
        run = asyncio.create_task(scan(tmp_path, [url]))
        await until(slow_ones, "a reader")
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    assert not slow_ones()
    assert (tmp_path / ".experience" / "feeds.json").exists()


# ------------------------------------------------------------------ manners, secrets, bounds


async def test_a_rate_limited_feed_is_not_asked(tmp_path, monkeypatch):
    async with site() as there:
        url = there.at("/f", Reply(status=503, headers={"Retry-After": "900"}))
        for _ in range(2):
            with pytest.raises(TaskFailed):
                await scan(tmp_path, [url])
        assert len(there.asked) == 1
        later = time.time() + 901
        monkeypatch.setattr("scheduler.system.clock.SystemClock.now", lambda: later)
        there.at("/f", Reply(rss(item(1))))
        assert await in_words(tmp_path, [url]) == "1 new item from 1 of 1 feed"


async def test_no_secret_is_told(tmp_path, caplog):
    caplog.set_level("DEBUG")
    async with site() as there:
        urls = [
            there.at(f"/a?key={SECRET}", Reply(rss(item(1)))).replace("//", f"//u:{SECRET}@"),
            Sensitive(there.at(f"/{SECRET}/f", Reply(rss("<title>x</title><link>y</link>")))),
            f"http://127.0.0.1:1/?{SECRET}",
            Sensitive(f"http://127.0.0.1:1/{SECRET}"),
        ]
        found = await scan(tmp_path, urls)
    assert isinstance(found, Report) and found.text.startswith("2 new items from 2 of 4 feeds")
    kept = [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
    assert SECRET not in f"{found} {caplog.text} {kept} {options(feeds=urls)!r}"
    assert news(tmp_path)[-1]["link"] or news(tmp_path)[0]["link"]


@each(
    ("key", "value", "words"),
    [
        ("feeds", [], "is empty"),
        ("feeds", "https://a/", "write a list"),
        ("feeds", ["example.org"], "is not an address"),
        ("feeds", {"a": 3}, "is a number"),
        ("keywords", [""], "empty keyword"),
        ("keywords", "x", "write it as a list"),
        ("keep", "1h", "at least 86400 seconds"),
    ],
)
def test_settings_that_cannot_be_used(key, value, words):
    problems = Problems({})
    read(Options, {key: value}, ("tasks", "news_scan"), problems)
    assert words in problems.found[0][1]


def test_without_feeds_it_is_not_set_up():
    builtin = built_in("news_scan")
    assert builtin is not None and builtin.lacks({}) == "feeds"


def test_what_is_remembered_is_bounded():
    memory = FeedMemory(seen={f"{n}": 1000 for n in range(MOST + 500)} | {"old": 1000 - KEPT})
    memory.update_seen(["new"], 1000)
    assert len(memory.seen) == MOST + 1 and "new" in memory.seen and "old" not in memory.seen


def test_old_news_goes(tmp_path, monkeypatch):
    (tmp_path / "news").mkdir()
    for day in ("2025-01-01", "2026-02-01", "2026-02-28", "2026-03-01"):
        (tmp_path / "news" / f"{day}.jsonl").write_text("x" * 100)
    (tmp_path / "news" / "mine.jsonl").write_text("x")
    NewsFiles(tmp_path, NOON).prune(90 * 86400)
    assert not (tmp_path / "news" / "2025-01-01.jsonl").exists()
    monkeypatch.setattr(news_files, "MOST", 150)
    NewsFiles(tmp_path, NOON).prune(90 * 86400)
    assert {file.name for file in (tmp_path / "news").iterdir()} == {"2026-03-01.jsonl", "mine.jsonl"}


async def test_what_cannot_be_written_fails(tmp_path):
    (tmp_path / "news").write_text("")
    async with site() as there:
        with pytest.raises(TaskFailed, match=r"\.jsonl cannot be written: "):
            await scan(tmp_path, [there.at("/f", Reply(rss(item(1))))])


@each("content", ["", "[]", '{"feeds": 3}', '{"feeds": {"a": [], "b": {"seen": [], "day": "x"}}}'])
async def test_a_memory_that_is_none_is_set_aside_or_skipped(tmp_path, content):
    (tmp_path / ".experience").mkdir()
    (tmp_path / ".experience" / "feeds.json").write_text(content)
    async with site() as there:
        assert (
            await in_words(tmp_path, [there.at("/f", Reply(rss(item(1))))]) == "1 new item from 1 of 1 feed"
        )


async def test_progress_names_the_feeds(tmp_path):
    seen = []
    async with site() as there:
        given = options(feeds={"a": there.at("/a", Reply(rss())), "b": there.at("/b", Reply(rss()))})
        await news_scan(Context("opus", tmp_path, "news_scan", given, report=seen.append))
    assert [(each.done, each.total) for each in seen] == [(1, 2), (2, 2)]
    assert {each.text for each in seen} == {"a", "b"}


def test_texts_are_cut():
    body = rss(f"<title>{'t ' * 999}</title><description>{'word ' * 999}</description>")
    ((_, line),) = lines(items(body, "", "http://a/"), "f", "m", [])
    content = json.loads(line)
    assert len(content["title"]) <= 300
    assert content["summary"].endswith("word …") and len(content["summary"]) < 1010


def test_nothing_is_not_a_feed():
    with pytest.raises(NotAFeed):
        items(b"", "", "http://a/")
