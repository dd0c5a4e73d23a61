"""What users of feed readers saw elsewhere: one bad byte, item or date, and the feed is garbled or gone."""

import gzip
import json
import socket

import pytest

from scheduler.core.task import Context, Report
from scheduler.handlers.news_scan.handler import news_scan
from scheduler.handlers.news_scan.options import Options
from scheduler.handlers.news_scan.parser import NotAFeed, decoded, items
from tests.each import each
from tests.handlers.email_check.mail_servers import serving
from tests.handlers.net.web_servers import Reply, site

GOOD = "<title>fine</title><guid>2</guid>"
DECLARED = '<?xml version="1.0" encoding="utf-8"?>'


def rss(*entries: str, head: str = DECLARED, names: str = "") -> str:
    inside = "".join(f"<item>{entry}</item>" for entry in entries)
    return f'{head}<rss version="2.0" {names}><channel><title>t</title>{inside}</channel></rss>'


def titles(document: str | bytes, kind: str = "application/xml") -> list[str]:
    body = document.encode() if isinstance(document, str) else document
    return [each["title"] for each in items(body, kind, "http://example.org/")]


def news(home) -> list[str]:
    files = sorted((home / "news").glob("*.jsonl"))
    return [json.loads(line)["title"] for file in files for line in file.read_text().splitlines()]


async def scan(home, url: str, **given) -> str:
    options = Options.model_construct(feeds={"f": url}, **given)
    found = await news_scan(Context("opus", home, "news_scan", options))
    return found.text if isinstance(found, Report) else found


# ------------------------------------------------------------------ one odd item


@each(
    ("odd", "title"),
    [
        ("<title>&#55357;&#56832; hello</title>", "😀 hello"),
        ("<title>&#xD83D;&#xde00; hello</title>", "😀 hello"),
        ("<title>&#55357; hello</title>", "\ufffd hello"),
        ("<title>&#55999; &#57343;</title>", "\ufffd \ufffd"),
        ("<title>&#x110000; hello</title>", "\ufffd hello"),
        ("<title>&#99999999999; hello</title>", "\ufffd hello"),
        ("<title>&#0;&#8; hello</title>", "\ufffd\ufffd hello"),
        ("<title>a &#150; b &#x26; c &#38;lt;</title>", "a – b & c <"),
        ("<title>&amp;#55357;&amp;#56832; hello</title>", "😀 hello"),
        ("<title><![CDATA[&#55357;&#56832; hello]]></title>", "😀 hello"),
        ("<title>bell\x07 and \ufffe hello</title>", "bell and hello"),
        ("<title>x</title><pubDate>0000-00-00 00:00:00</pubDate>", "x"),
        ("<title>x</title><pubDate>0001-01-01T00:00:00+01:00</pubDate>", "x"),
        ("<title>x</title><pubDate>0001-01-01T00:00:00Z</pubDate>", "x"),
        ("<title>x</title><pubDate>9999-12-31T23:59:59-08:00</pubDate>", "x"),
        ("<title>x</title><pubDate>Mon, 01 Jan 10000 00:00:00 GMT</pubDate>", "x"),
        ("<title>x</title><pubDate>Fri, 31 Feb 2026 99:99:99 GMT</pubDate>", "x"),
        ("<title>x</title><pubDate>-1</pubDate>", "x"),
        ("<title>x</title><pubDate>1e400</pubDate>", "x"),
    ],
)
def test_one_odd_item_costs_no_other(odd, title):
    """libexpat 260, bitlove-ui 24 (half characters); nextcloud news 1092, ThreatIngestor 79 (year 0 or 1)."""
    first, second = items(rss(odd, GOOD).encode(), "application/xml", "http://example.org/")
    assert (first["title"], first["published"], second["title"]) == (title, None, "fine")


@each("place", ["srsName='EPSG:x'", "srsName=''", "srsName='urn:ogc:def:crs:EPSG::'"])
def test_an_item_that_the_parser_dies_of_costs_that_item(place):
    """A gml:Point whose srsName ends in no number raises in the library, over the whole document."""
    names = 'xmlns:georss="http://www.georss.org/georss" xmlns:gml="http://www.opengis.net/gml"'
    point = f"<georss:where><gml:Point {place}><gml:pos>1 2</gml:pos></gml:Point></georss:where>"
    many = [f"<title>item {number}</title><guid>{number}</guid>" for number in range(9)]
    found = titles(rss(*many[:4], f"<title>odd</title>{point}", *many[4:], names=names))
    assert [each for each in found if each != "odd"] == [f"item {number}" for number in range(9)]


async def test_an_odd_item_does_not_end_the_process_that_reads(tmp_path):
    async with site() as there:
        url = there.at("/f", Reply(rss("<title>&#55357; x</title><guid>1</guid>", GOOD).encode()))
        assert await scan(tmp_path, url) == "2 new items from 1 of 1 feed"


@each(
    "odd",
    [
        "<title>odd</title><description><div><div><div>",
        "<title>odd</title><!-- left open",
        "<title>odd</title><description><![CDATA[left open",
    ],
)
def test_a_tag_that_is_left_open_swallows_no_other_item(odd):
    found = titles(rss(odd, GOOD, GOOD.replace("fine", "last")))
    assert found[-2:] == ["fine", "last"]


def test_a_picture_in_an_item_does_not_give_it_its_title():
    picture = "<image><url>http://a/b.png</url><title>logo</title><link>http://logo/</link></image>"
    document = rss(f"<title>news</title><link>http://a/1</link>{picture}", GOOD)
    first, second = items(document.encode(), "application/xml", "http://a/")
    assert (first["title"], first["link"], second["title"]) == ("news", "http://a/1", "fine")


def test_a_compressed_file_is_read_and_a_broken_one_is_said():
    assert titles(gzip.compress(rss(GOOD).encode())) == ["fine"]
    with pytest.raises(NotAFeed, match="compressed file that cannot be read"):
        titles(gzip.compress(rss(GOOD).encode())[:9] + b"\xff" * 50)


@each(
    ("date", "moment"),
    [
        ("Mon, 02 Mar 2026 12:00:00 GMT", "2026-03-02T12:00:00+00:00"),
        ("Mon, 02 Mar 2026 13:00:00 +0100", "2026-03-02T12:00:00+00:00"),
        ("2026-03-02T12:00:00Z", "2026-03-02T12:00:00+00:00"),
        ("2026-03-02 12:00:00", "2026-03-02T12:00:00+00:00"),
        ("20260302", "2026-03-02T00:00:00+00:00"),
        ("1772452800", "2026-03-02T12:00:00+00:00"),
        ("1772452800000", "2026-03-02T12:00:00+00:00"),
        ("Mon, 02 Mar 2026 13:00:00 +01:00", "2026-03-02T12:00:00+00:00"),
        ("Mon, 02 Mar 2026 17:30:00 UTC+5:30", "2026-03-02T12:00:00+00:00"),
        ("Mon, 02 Mar 2026 13:00:00 GMT+1", "2026-03-02T12:00:00+00:00"),
        ("Mon, 02 Mar 2026 13:00:00 CET", "2026-03-02T12:00:00+00:00"),
        ("Mon, 02 Mar 2026 21:00:00 JST", "2026-03-02T12:00:00+00:00"),
        ("Mon,02 Mar 2026 12:00:00 GMT", "2026-03-02T12:00:00+00:00"),
        ("Mo, 02 Mär 2026 13:00:00 +0100", "2026-03-02T12:00:00+00:00"),
        ("lun., 02 mars 2026 13:00:00 +0100", "2026-03-02T12:00:00+00:00"),
        ("2026/03/02 12:00:00", "2026-03-02T12:00:00+00:00"),
        ("March 2, 2026", "2026-03-02T00:00:00+00:00"),
        ("Mar 2, 2026", "2026-03-02T00:00:00+00:00"),
        ("2026-03-02T12:00:00+00:00", "2026-03-02T12:00:00+00:00"),
    ],
)
def test_dates_in_their_dresses(date, moment):
    (found,) = items(rss(f"<title>x</title><pubDate>{date}</pubDate>").encode(), "", "http://a/")
    assert found["published"] == moment
    feed = {"version": "1", "items": [{"id": 1, "date_published": date}, {"id": 2, "date_published": [1]}]}
    first, second = items(json.dumps(feed).encode(), "", "http://a/")
    assert second["published"] is None
    assert first["published"] in (moment, None)


def test_an_odd_date_hides_no_good_one():
    dates = "<published>0001-01-01T00:00:00Z</published><updated>2026-03-02T12:00:00Z</updated>"
    atom = f'<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>1</id>{dates}</entry></feed>'
    assert items(atom.encode(), "", "http://a/")[0]["published"] == "2026-03-02T12:00:00+00:00"


# ------------------------------------------------------------------ what is everyday and no XML


@each(
    ("inside", "title"),
    [
        ("AT&T and the S&P 500", "AT&T and the S&P 500"),
        ("R&D; x", "R&D; x"),
        ("a & b &amp; c &lt;d&gt;", "a & b & c <d>"),
        ("Q&A: fish&chips&co", "Q&A: fish&chips&co"),
        ("caf&eacute;&nbsp;&mdash; 5&euro;", "café — 5€"),
        ("&bogus; &", "&bogus; &"),
        ("I <3 you, 1 < 2", "I <3 you, 1 < 2"),
        ("<![CDATA[AT&T &amp; S&P]]>", "AT&T & S&P"),
    ],
)
def test_a_bare_ampersand_stays_what_it_is(inside, title):
    """feedparser 117, simplepie 233, tinkerer 6: the lenient parser makes `AT&T;` of it, in every item."""
    assert titles(rss(f"<title>{inside}</title>", GOOD)) == [title, "fine"]


async def test_a_keyword_with_an_ampersand_is_found(tmp_path):
    async with site() as there:
        url = there.at("/f", Reply(rss("<title>AT&T and the S&P 500</title><guid>1</guid>", GOOD).encode()))
        assert await scan(tmp_path, url, keywords=("S&P 500",)) == "1 new item from 1 of 1 feed"


def test_links_with_bare_ampersands_are_whole():
    link = "http://example.org/?a=1&b=2&copy=3"
    (found,) = items(rss(f"<title>x</title><link>{link}</link>").encode(), "", "http://a/")
    assert found["link"] == link


def test_entities_of_the_document_itself_are_its_own():
    head = f'{DECLARED}<!DOCTYPE rss [<!ENTITY euro "EUR"><!ENTITY it "this">]>'
    assert titles(rss("<title>5 &euro; for &it; &nbsp;</title>", head=head))[0].startswith("5 EUR for this")


@each(
    "head",
    [
        "<!DOCTYPE html>\n",
        f'{DECLARED}<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://site.invalid/">',
        f"<!DOCTYPE html>{DECLARED}",
        f"\n\n  {DECLARED}",
        f"<br />\n<b>Warning</b>: odd in /x.php on line 3<br />\n{DECLARED}",
        f"<!-- a <html> of old -->{DECLARED}",
        "\ufeff\n",
        "",
    ],
)
def test_a_feed_below_anything_is_a_feed(head):
    assert titles(rss("<title>found</title>", head=head)) == ["found"]


@each(
    "page",
    [
        "<!DOCTYPE html><html><body><item>x</item></body></html>",
        "<html><head><title>x</title></head></html>",
        f"{DECLARED}<!DOCTYPE html><html xmlns='x'/>",
        "<!-- a comment --><!doctype html><p>x",
        "<!doctype html><p>hello",
    ],
)
@each("encoding", ["utf-8", "utf-16"])
def test_a_web_page_is_still_one(page, encoding):
    with pytest.raises(NotAFeed, match="web page"):
        items(page.encode(encoding), "", "http://a/")


# ------------------------------------------------------------------ one bad byte

WORDS = "Grüße aus Köln, 日本"
HALF = "日".encode()[:2]


@each("kind", ["application/rss+xml", "text/xml; charset=utf-8", "text/xml; charset=latin1"])
def test_one_broken_byte_garbles_no_other(kind):
    """feedparser 421: `substr()` cut a character in half, and all others were read as another encoding."""
    body = rss(f"<title>{WORDS}</title>", "<title>cut: @@ off</title>").encode().replace(b"@@", HALF)
    assert titles(body, kind) == [WORDS, "cut: \ufffd off"]
    feed = json.dumps({"version": "1", "items": [{"title": WORDS}, {"title": "cut: @@"}]}, ensure_ascii=False)
    assert titles(feed.encode().replace(b"@@", HALF), kind) == [WORDS, "cut: \ufffd"]


@each(
    ("charset", "words"),
    [
        *(("gb2312", "中文新闻"), ("gb18030", "中文新闻"), ("big5", "中文新聞"), ("euc-jp", "日本語")),
        *(("shift_jis", "日本語"), ("euc-kr", "한국어"), ("windows-1251", "Здравствуй")),
    ],
)
def test_one_broken_byte_in_any_charset(charset, words):
    head = f'<?xml version="1.0" encoding="{charset}"?>'
    body = rss(f"<title>{words}</title>", "<title>cut@ off</title>", head=head).encode(charset)
    first, second = titles(body.replace(b"@", b"\xff" if charset != "windows-1251" else b"\x98"))
    assert first == words and second.startswith("cut") and second.endswith("off")


@each(
    ("name", "codec", "words"),
    [
        *(("x-sjis", "cp932", "日本語①"), ("Windows-31J", "cp932", "①"), ("x-euc-jp", "euc_jp", "日本語")),
        *(("x-gbk", "gbk", "中文"), ("gb_2312-80", "gb2312", "中文"), ("ks_c_5601-1987", "cp949", "한국어")),
        *(("x-x-big5", "big5", "中文"), ("win-1251", "cp1251", "Привет"), ("cp-1251", "cp1251", "Привет")),
        *(("iso-8859-1", "cp1252", "„Grüße“ – 5 €"), ("us-ascii", "cp1252", "„Grüße“")),
        *(("ANSI", "cp1252", "Grüße"), ("iso-8859-9", "cp1254", "Işık"), ("macintosh", "mac_roman", "Grüße")),
        ("tis-620", "cp874", "สวัสดี"),
        *(("x-mac-cyrillic", "mac_cyrillic", "Привет"), ("unicode-1-1-utf-8", "utf-8", "Grüße")),
        *(("utf-16", "utf-8", "Grüße"), ("unicode", "utf-8", "Grüße"), ("UTF8", "utf-8", "Grüße")),
        *(("csISO2022JP", "iso2022_jp", "日本"), ("hz-gb-2312", "hz", "中文"), ("koi8", "koi8_r", "Привет")),
        *(("utf-16le", "cp1252", "Grüße"), ("nonsense", "cp1252", "Grüße")),
        ("iso-2022-jp", "utf-8", "Grüße"),
    ],
)  # fmt: skip
def test_charsets_under_the_names_that_feeds_use(name, codec, words):
    """Labels that browsers know and Python does not, or that mean a wider set than their name says."""
    body = rss(f"<title>{words}</title>", head=f'<?xml version="1.0" encoding="{name}"?>').encode(codec)
    assert titles(body) == [words]
    bare = rss(f"<title>{words}</title>", head="").encode(codec)
    assert words in decoded(bare, f'text/xml; charset="{name}"')


# ------------------------------------------------------------------ shared guids


async def seen(home, *states: tuple[str, ...]) -> list[str]:
    """The titles that are written when the feed holds these items, one state after the other."""
    async with site() as there:
        for number, state in enumerate(states):
            await scan(home, there.at("/f", Reply(rss(*state, GOOD if number < 0 else "").encode())))
    return [title for title in news(home) if title]


def one(name: str, guid: str = "same", more: str = "") -> str:
    return f"<title>{name}</title><guid>{guid}</guid><description>{name}{more}</description>"


A, B, C = map(one, ("first", "second", "third"))


@each(
    "states",
    [
        ((A,), (A, B), (B,), (C,)),
        ((A, B), (B, C), (C,), (A, B, C)),
        ((A, A), (A,), (B, A), (C, B, A)),
        ((A, B, C), (C,), (B,), (A,)),
    ],
)
async def test_items_that_share_a_guid_are_there_once_each(tmp_path, states):
    """brief 428, vDiplomacy 68, skx rss2email 111: one written again when another comes, one never."""
    assert await seen(tmp_path, *states) == ["first", "second", "third"]


async def test_an_item_that_shares_its_guid_is_not_new_when_its_points_change(tmp_path):
    states = [tuple(one(name, more=f" {points} points") for name in ("a", "b")) for points in (1, 2, 3)]
    assert await seen(tmp_path, *states) == ["a", "b"]


async def test_items_that_share_everything_but_their_text_are_told_apart(tmp_path):
    states = (one("x", more=" 1"), one("x", more=" 2")), (one("x", more=" 2"), one("x", more=" 3"))
    assert await seen(tmp_path, *states) == ["x", "x", "x"]


async def test_an_item_with_a_guid_of_its_own_may_be_edited(tmp_path):
    assert await seen(tmp_path, (one("x", "1"),), (one("y", "1"), one("z", "2")), (one("w", "1"),)) == [
        "x",
        "z",
    ]


async def test_items_that_share_a_link_and_have_no_guid(tmp_path):
    a, b, c = (f"<title>{name}</title><link>http://example.org/</link>" for name in "abc")
    assert await seen(tmp_path, (a,), (a, b), (b,), (c,)) == ["a", "b", "c"]


async def test_what_an_earlier_version_remembered_is_not_new(tmp_path):
    """It kept one key for an item: its id, or with that of others what it says."""
    async with site() as there:
        url = there.at("/f", Reply(rss(A, B, one("x", "1")).encode()))
        await scan(tmp_path, url)
        file = tmp_path / ".experience" / "feeds.json"
        memory = json.loads(file.read_text())
        (feed,) = memory["feeds"].values()
        (day,) = (tmp_path / "news").iterdir()
        whole = [json.loads(line)["id"][8:] for line in day.read_text().splitlines()]
        feed["seen"] = {key: day for key, day in feed["seen"].items() if key in whole}
        feed["body"] = ""
        file.write_text(json.dumps(memory))
        assert await scan(tmp_path, url) == "nothing new in 1 feed"


# ------------------------------------------------------------------ sloppy servers


@each("coding", ["Content-Encoding: UTF-8", "Content-Encoding: none", "X-A: fine"])
async def test_a_feed_behind_a_sloppy_header_is_read(tmp_path, coding):
    """reqwest 1189: 194 of a million sites name a charset as their compression."""
    body = rss("<title>One</title><guid>1</guid>").encode()
    head = f"HTTP/1.1 200 OK\r\n{coding}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(head + body)

    with serving(talk) as port:
        assert await scan(tmp_path, f"http://127.0.0.1:{port}/f") == "1 new item from 1 of 1 feed"
