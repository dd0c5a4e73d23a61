"""Letters: whatever a stranger sent becomes text, and never an exception."""

import base64
import random
from time import process_time

from scheduler.handlers.email_check.body import body
from scheduler.handlers.email_check.message import HEADER, LINE, decoded, header, read_headers


def test_a_subject_is_decoded():
    for subject, text in (
        (b"plain", "plain"),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
        (b"=?utf-8?B?R3LDvMOfZQ?=", "Grüße"),  # padding lost
        (b"=?utf-8*de?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"a =?utf-8?q?b?= c", "a b c"),
        (b"=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),  # a character in two words
        (b"=?utf-8?q?What?_?=", "What?"),
        (b"=?iso-8859-1?q?=80_5?=", "€ 5"),
        (b"=?us-ascii?q?=93caf=E9=94?=", "“café”"),  # a label of programs that do not look
        (b"=?us-ascii?q?caf=C3=A9?=", "café"),
        (b"=?EUC-KR?Q?=C7=D1=B1=B9?=", "한국"),
        (b"=?ISO-2022-JP?B?" + base64.b64encode("緊急".encode("iso-2022-jp")) + b"?=", "緊急"),
        (b"=?gb2312?B?va28sQ==?=", "江急"),
        (b"=?NONE?B?VEVTVA=?=", "TEST"),
        (b"=?x-unknown?q?=C3=BC?=", "ü"),
        (b"=?unicode_escape?q?=5Cq?=", "\\q"),
        (b"=?idna?q?x?=", "x"),
        (b"=?hex?q?4141?=", "4141"),
        (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        (b"=?utf-8?q?abc", "=?utf-8?q?abc"),
        (rb"\u12 =?utf-8?q?b?=", "\ufffd b"),
        ("Grüße".encode(), "Grüße"),
        ("Grüße".encode("latin-1"), "Grüße"),
        ("緊急".encode("iso-2022-jp"), "緊急"),
        (b"bell\x07 and\ttab\x1b[31m", "bell and tab [31m"),
        (b"", ""),
    ):
        assert read_headers(b"Subject: " + subject + b"\r\n\r\n").subject == text, (subject, text)


def test_an_undeclared_header_is_probably_in_the_charset_of_the_body():
    raw = b"Subject: " + "срочно".encode("koi8-r") + b"\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n"
    assert read_headers(raw).subject == "срочно"


def test_missing_headers_are_empty():
    found = read_headers(b"\r\n")
    assert (found.id, found.sender, found.addresses, found.subject, found.date) == ("", "", (), "", "")


def test_one_message_has_one_key_however_its_header_is_folded():
    assert (
        read_headers(b"Message-ID:\r\n <a@b>\r\n").key == read_headers(b"message-id: <a@b>\nSubject: x\n").key
    )
    assert read_headers(b"Message-ID: <a@b>\r\n").key != read_headers(b"Message-ID: <a@c>\r\n").key


def test_without_an_id_sender_date_and_subject_make_the_key():
    def key(sender: bytes, date: bytes, subject: bytes) -> str:
        return read_headers(b"From: %s\r\nDate: %s\r\nSubject: %s\r\n" % (sender, date, subject)).key

    keys = {key(b"a", b"1", b"x"), key(b"b", b"1", b"x"), key(b"a", b"2", b"x"), key(b"a", b"1", b"y")}
    assert len(keys) == 4
    assert key(b"a", b"1", b"x  y") == key(b"a", b"1", b"x\r\n y")


def test_of_two_from_headers_the_first_counts():
    assert read_headers(b"From: ct@example.org\r\nFrom: eve@example.com\r\n").addresses == ("ct@example.org",)


def test_endless_headers_are_cut():
    found = read_headers(b"Subject: " + b"x" * 100_000 + b"\r\nFrom: ct@example.org\r\n")
    assert len(found.subject) == LINE
    assert found.addresses == ("ct@example.org",)


def test_the_plain_text_is_preferred():
    raw = (
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>no"
        b"\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nJ\xc3\xa4\r\n--b--\r\n"
    )
    assert body(raw) == "Jä"


def test_a_page_is_read_without_its_tags():
    raw = (
        b"Content-Type: text/html\r\n\r\n<style>p{}</style><p>One &amp; two<br>three<script>x()</script></p>"
    )
    assert body(raw) == "One & two\nthree"


def test_the_beginning_of_a_text_is_enough():
    encoded = base64.encodebytes("Grüße ".encode() * 500)[:1001]
    raw = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded
    assert body(raw).startswith("Grüße Grüße")
    for label in (b"", b"Content-Type: text/plain; charset=us-ascii\r\n"):  # cut off inside a character
        assert body(label + b"\r\n" + "Grüße ü".encode()[:-1]) == "Grüße"


def test_attachments_are_no_text():
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; name=a.txt\r\n"
        b"Content-Disposition: attachment; filename=a.txt\r\n\r\nsecret plans\r\n--b--\r\n"
    )
    assert body(raw) == ""


def test_a_header_of_a_whole_message():
    assert header(b"To: =?utf-8?q?J=C3=A4?= <a@b>\r\n\r\nTo: x", "to") == "Jä <a@b>"


def _short(junk: bytes) -> str:
    return junk[:9].hex()


def test_junk_takes_no_time():
    for junk in (
        b"=?a?q?" * 20_000,
        b'"' * 60_000,
        b'"\\' * 30_000,
        b"(" * 60_000,
        b"<" * 60_000,
        b"a@" * 30_000,
        b"\r\n " * 20_000,
        b"=?utf-8?b?" + b"A" * 60_000,
    ):
        start = process_time()
        read_headers(b"From: " + junk + b"\r\nSubject: " + junk + b"\r\nMessage-ID: " + junk)
        assert process_time() - start < 0.5, _short(junk)


def test_a_page_of_junk_takes_no_time():
    for junk in (
        b"<script>" * 8000,
        b"<!--" * 16_000,
        b"<a b='" * 10_000,
        b"&" * 64_000,
        b"<![CDATA[" * 7000,
        b"</" * 32_000,
    ):
        start = process_time()
        body(b"Content-Type: text/html\r\n\r\n" + junk)
        assert process_time() - start < 2, _short(junk)


def test_parts_without_end_are_no_exception():
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(1500)
    )
    assert body(nested) == ""


def test_random_bytes_are_no_exception():
    chance = random.Random(7)
    start = (
        b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n"
        b"Subject: =?utf-8?b?aaa?=\r\n\r\n--b\r\nContent-Type: text/plain; "
        b"charset=\"utf-8\"; name*0*=x''%ff\r\n\r\nhello\r\n--b--"
    )
    for _ in range(3000):
        raw = bytearray(start)
        for _ in range(chance.randrange(1, 12)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        read_headers(bytes(raw)), body(bytes(raw)), header(bytes(raw), "to")


def test_every_odd_line_stays_one_line():
    assert "\n" not in decoded("=?utf-8?q?a=0Ab?=").replace("\n", "", 1)
    assert read_headers(b"Subject: =?utf-8?q?a=0Ab=0Dc?=\r\n").subject == "a b c"
    assert HEADER >= LINE


def test_a_forwarded_message_is_read_also_where_all_of_it_was_encoded():
    inner = b"From: c@d\r\nSubject: in\r\n\r\ninner\r\n"
    outer = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: %b\r\n\r\n%b\r\n"
    for encoding, content in ((b"base64", base64.b64encode(inner)), (b"7bit", inner)):
        assert body(outer % (encoding, content)) == "inner"
