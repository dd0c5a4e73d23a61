"""What users of mail saw elsewhere: a letter without its text, and an ill server with an empty mailbox."""

import json
from base64 import b64encode
from pathlib import Path

import pytest

from scheduler.core.task import Report
from scheduler.errors import TaskFailed
from scheduler.handlers.email_check.body import body
from scheduler.handlers.email_check.connection import CuttableSocket
from scheduler.handlers.email_check.handler import check
from scheduler.handlers.email_check.message import read_headers
from scheduler.handlers.email_check.options import Options
from scheduler.schema.table import Problems, read
from tests.each import each
from tests.fakes import NOON
from tests.handlers.email_check.mail_servers import Scripted, fetched, serving

WORDS = "The server is down"


def part(kind: str, text: str, *more: str) -> str:
    return "\r\n".join([f"Content-Type: {kind}", *more, "", text])


def multi(kind: str, *parts: str, boundary: str = "b", named: str = 'boundary="b"') -> str:
    inside = "".join(f"--{boundary}\r\n{each}\r\n" for each in parts)
    return f"Content-Type: multipart/{kind}; {named}\r\n\r\n{inside}--{boundary}--\r\n"


def mail(content: str) -> bytes:
    return f"From: ct@example.org\r\nSubject: down\r\nMIME-Version: 1.0\r\n{content}".encode()


PLAIN, HTML, CALENDAR = "text/plain; charset=utf-8", "text/html", "text/calendar; method=REQUEST"
EVENT = "BEGIN:VCALENDAR\r\nSUMMARY:Meeting\r\nEND:VCALENDAR"
CARD = "BEGIN:VCARD\r\nFN:Ct\r\nEND:VCARD"
PAGE = f"<html><head><title>Mail</title></head><body><p>{WORDS}</p></body></html>"
INLINE, ATTACHED = (f'Content-Disposition: {how}; filename="body.txt"' for how in ("inline", "attachment"))
PLAIN_PART, PAGE_PART = part(PLAIN, WORDS), part(HTML, PAGE)
STATUS = part("message/delivery-status", "Status: 5.3.0\r\n")
INNER = f"From: mira@example.org\r\nSubject: old\r\n{PLAIN_PART}"
OTHER = {"boundary": "c", "named": "boundary=c"}


# ------------------------------------------------------------------ which part is the letter


@each(
    "content",
    [
        multi("alternative", part(PLAIN, " \r\n"), PAGE_PART),
        multi("alternative", part(PLAIN, "\u200b\u00a0\r\n"), PAGE_PART),
        multi("alternative", part(PLAIN, ""), multi("related", PAGE_PART, part("image/png", "x"), **OTHER)),
        multi("mixed", part(PLAIN, WORDS, INLINE)),
        multi("mixed", part('text/plain; name="body.txt"', WORDS)),
        multi("mixed", part("text/plain", "secret plans", ATTACHED), PLAIN_PART),
        multi("alternative", PAGE_PART, part(CALENDAR, EVENT)),
        multi("alternative", part(CALENDAR, EVENT), PLAIN_PART),
        multi("mixed", part("text/x-vcard", CARD), PLAIN_PART),
        multi("mixed", PLAIN_PART, part("text/vcard; name=ct.vcf", CARD)),
        multi("alternative", part("text/x-amp-html", "<html amp4email>no"), PAGE_PART),
        multi("signed", PLAIN_PART, part("application/pgp-signature", "-----BEGIN PGP SIGNATURE-----")),
        multi("mixed", multi("alternative", PLAIN_PART, PAGE_PART, **OTHER), part("application/pdf", "x")),
        multi("report", PLAIN_PART, STATUS, part("text/rfc822-headers", "X: y")),
        multi("mixed", part("message/rfc822", INNER)),
        multi("mixed", part(PLAIN, " "), part("message/rfc822", INNER, "Content-Disposition: attachment")),
        multi("digest", f"\r\n{INNER}"),
        part("message/rfc822", INNER),
        multi("mixed", PLAIN_PART, named="charset=utf-8"),
        multi("mixed", PLAIN_PART, named='boundary="another"'),
        multi("mixed", PLAIN_PART, named='boundary=""'),
        multi("alternative", part(PLAIN, " "), PAGE_PART, named="x=y"),
        multi("mixed", PLAIN_PART, boundary='odd"one', named="x=y"),
        f"Content-Type: multipart/mixed\r\n\r\n{WORDS}\r\n",
        part("text", WORDS),
        part("text/plain; charset=no-such-charset", WORDS),
        PAGE_PART,
        WORDS.join(("\r\n", "\r\n")),
    ],
)  # fmt: skip
def test_the_text_is_the_one_that_a_mail_program_shows(content):
    """docling 4295, mcp-gsuite 55, mailpile 549, james-project 4396: blank, named, a calendar."""
    assert body(mail(content)) == WORDS


def test_a_letter_around_a_picture_is_whole():
    """Apple's mail program cuts the text at each picture, with and without a page beside it."""
    picture = part("image/png", "x", "Content-Disposition: inline; filename=a.png")
    assert body(mail(multi("mixed", part(PLAIN, "Before"), picture, part(PLAIN, "after")))) == "Before\nafter"
    page = multi(
        "mixed", part(HTML, "<p>Before"), picture, part(HTML, "after</p>"), named="boundary=c", boundary="c"
    )
    assert body(mail(multi("alternative", part(PLAIN, " "), page))) == "Before\nafter"
    assert body(mail(multi("alternative", part(PLAIN, "Before, after"), page))) == "Before, after"


def test_the_footer_of_a_mailing_list_is_not_all_there_is():
    assert body(mail(multi("mixed", PAGE_PART, part(PLAIN, "-- \r\nlist mailing list")))).startswith(WORDS)


def test_what_is_no_letter_is_better_than_nothing():
    assert "SUMMARY:Meeting" in body(mail(part(CALENDAR, EVENT)))
    assert "FN:Ct" in body(mail(multi("mixed", part("text/x-vcard", CARD))))
    assert "Status: 5.3.0" in body(
        mail(multi("report", part("message/delivery-status", "Status: 5.3.0\r\n")))
    )
    assert body(mail(multi("mixed", part(PLAIN, "secret", ATTACHED)))) == ""


@each(
    ("page", "text"),
    [
        ("<tr><td>Disk</td><td>97%</td></tr><tr><td>Load</td><td>12</td></tr>", "Disk 97%\nLoad 12"),
        ("<table><tr><th>Disk<th>97%<tr><td>Load<td>12</table>", "Disk 97%\nLoad 12"),
        ("<p>One</p>two<blockquote>three</blockquote>four", "One\ntwo\nthree\nfour"),
        ("<dl><dt>Disk<dd>97%</dl><h4>Load</h4><pre>12</pre>", "Disk\n97%\nLoad\n12"),
        ("<p>R&D is down", "R&D is down"),
        ("<p>5 < 6 and AT&T", "5 < 6 and AT&T"),
        ("a<b>b</b>c<span>d</span>", "abcd"),
    ],
)  # fmt: skip
def test_a_page_is_read_as_it_is_seen(page, text):
    assert body(mail(part(HTML, page))) == text


@each(
    ("given", "more", "text"),
    [
        ("The server \r\nis down.\r\n\r\nCome.", "", "The server is down.\n\nCome."),
        ("緊 \r\n急", "; delsp=yes", "緊急"),
        ("> The server \r\n> is down.\r\nWhen?", "", "> The server is down.\nWhen?"),
        (">> a \r\n> b", "", ">> a \n> b"),
        ("Bye \r\n-- \r\nCt", "", "Bye \n-- \nCt"),
        (" From here", "", "From here"),
    ],
)
def test_lines_that_the_sender_broke_are_joined(given, more, text):
    """RFC 3676: what is broken at column 72 is one paragraph, and in Japanese not even a space."""
    assert body(mail(part(f"text/plain; charset=utf-8; format=flowed{more}", given))) == text


# ------------------------------------------------------------------ what senders write beside the standard


@each(
    "head",
    [
        "\r\nFrom: ct@example.org\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64",
        "From ct@example.org Tue Dec  1 12:00:00 2026\r\nContent-Transfer-Encoding: base64",
        "From: ct@example.org\r\nno header at all\r\nContent-Transfer-Encoding: base64",
        "From: ct@example.org\r\nContent-Transfer-Encoding : base64",
        "From: ct@example.org\r\nContent-Transfer-Encoding:  Base64 ",
        "From: ct@example.org\r\nContent-Transfer-Encoding: base64 (eight bits)",
        "From: ct@example.org\r\nContent-Transfer-Encoding: base64;",
        'From: ct@example.org\r\nContent-Transfer-Encoding: "base64"',
    ],
)
def test_an_odd_line_in_the_header_does_not_hide_how_the_text_is_encoded(head):
    """The samples of mikel/mail: an encoding with a semicolon, an empty line first, a line without a name."""
    text = b64encode(WORDS.encode()).decode()
    assert body(f"{head}\r\n\r\n{text}\r\n".encode()) == WORDS


def test_a_text_that_begins_without_a_blank_line_is_whole():
    assert body(b"From: ct@example.org\r\nThe server\r\nis: down\r\n\r\nCome.") == (
        "The server\nis: down\n\nCome."
    )


@each("cut", range(1, 5))
def test_a_long_text_in_base64_is_read_wherever_its_beginning_was_cut(cut):
    """The first 64 KiB end in the middle of a group: the library then gives the letters as they came."""
    encoded = b64encode(b"The server is down. " * 5)[:-cut].decode()
    found = body(mail(f"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}"))
    assert found.startswith("The server is down. The server is down. ")


@each(
    ("kind", "text", "charset"),
    [
        ("text/html (a page)", "<p>Привет", "utf-8"),
        ("text / html", "<p>Привет", "utf-8"),
        ("plain/text", "Привет", "utf-8"),
        ("text/html", "<meta charset=koi8-r><p>Привет", "koi8-r"),
        ("text/html", '<meta http-equiv=a content="text/html; charset=windows-1251"><p>Привет', "cp1251"),
        ("text/plain; charset=\"'koi8-r'\"", "Привет", "koi8-r"),
        ("text/plain; charset*=us-ascii'en'koi8-r", "Привет", "koi8-r"),
        ("text/plain; charset=x-cp1251", "Привет", "cp1251"),
        ("text/plain; charset=utf-7", "Привет", "utf-7"),
    ],
)
def test_the_letters_of_a_text_are_those_that_its_sender_wrote(kind, text, charset):
    head = f"From: ct@example.org\r\nContent-Type: {kind}\r\n\r\n".encode()
    assert body(head + text.encode(charset)) == "Привет"


@each(
    ("charset", "text", "codec"),
    [
        ("utf-8", "Er hat héllo geschrieben", "cp1252"),
        ("unknown-8bit", "hé", "cp1252"),
        ("iso-8859-8-i", "שלום", "iso-8859-8"),
        ("windows-874", "สวัสดี", "cp874"),
    ],
)
def test_a_charset_that_is_wrong_or_has_another_name_garbles_nothing(charset, text, codec):
    head = f"From: ct@example.org\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode()
    assert body(head + text.encode(codec)) == text


def test_one_broken_character_garbles_no_other():
    head = b"From: ct@example.org\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    assert body(head + "Grüße, Köln".encode() + b"\xfc!") == "Grüße, Köln\ufffd!"


@each(
    ("kind", "text"),
    [
        ("message/global", f"Subject: x\r\n\r\n{WORDS}"),
        ("message/partial; id=a; number=1", f"Subject: x\r\n\r\n{WORDS}"),
        ("message/disposition-notification", WORDS.replace(" ", ": ", 1)),
        ("message/feedback-report", WORDS.replace(" ", ": ", 1)),
    ],
)
def test_a_message_or_report_within_a_message_is_read(kind, text):
    assert body(mail(multi("report", part(kind, text)))).replace(":", "") == WORDS


def test_a_page_of_pictures_is_what_they_are_described_as():
    assert body(mail(part(HTML, f'<p><img src=x><img alt="{WORDS}">'))) == WORDS
    assert body(mail(part(HTML, f'<p>{WORDS}<img alt="our logo">'))) == WORDS


def test_a_subject_in_two_words_may_be_split_anywhere():
    first, second = "=?utf-8?B?R3LDvMOf", "ZQ==?="
    assert read_headers(f"Subject: {first}?=\r\n =?utf-8?B?{second}".encode()).subject == "Grüße"
    assert read_headers(f"Subject: {first}Z?= =?utf-8?b?{second[1:]}".encode()).subject == "Grüße"
    assert read_headers("Subject: Café".encode("cp1252")).subject == "Café"


# ------------------------------------------------------------------ messages without ids


def key(message_id: str, facts: str = "1.0 99") -> str:
    return read_headers(f"From: cron@example.org\r\nSubject: disk\r\n{message_id}".encode(), facts).key


def test_messages_without_an_id_are_told_apart():
    """A cron job's reports: one sender, one subject, neither date nor id; or `Message-ID: <>`."""
    for none in ("", "Message-ID:\r\n", "Message-ID: <>\r\n", "Message-ID: < >\r\n", "Message-ID: <@>\r\n"):
        assert key(none) != key(none, "2.0 99") != key(none, "2.0 98")
        assert key(none) == key(none), "and one is the same the next time"
    assert key("Message-ID: <a@b>\r\n") == key("Message-ID: <a@b>\r\n", "2.0 99")
    assert read_headers(b"Message-ID: <>\r\n").id == ""


# ------------------------------------------------------------------ less came than was asked for


def options(port: int, authority: Path, **more: object) -> Options:
    given = {"host": "localhost", "port": port, "user": "u", "password": "s3cr3t", "ca_file": str(authority)}
    problems = Problems({})
    found = read(Options, {**given, "urgent_from": ["ct@example.org"], **more}, (), problems)
    assert problems.found == []
    return found


def checked(tmp_path: Path, home: Path, search: bytes | list[bytes], *fetch: bytes) -> str | Report:
    server = Scripted(tmp_path, search=search, fetch=[*fetch])
    with serving(server) as port:
        return check(home, options(port, server.authority), NOON, lambda *_: None, CuttableSocket())


def queue(home: Path) -> list[dict]:
    return [json.loads(file.read_text())["email"] for file in (home / "tasks/queue").glob("*.json")]


def line(*uids: int, sender: str = "a@example.com") -> bytes:
    return b"".join(
        fetched(uid, f"From: {sender}\r\nSubject: x\r\nMessage-ID: <{uid}@x>\r\n".encode()) for uid in uids
    )


THREE, OK = b"* SEARCH 1 2 3\r\n$ OK done\r\n", b"$ OK done\r\n"
FIELDS = b"BODY[HEADER.FIELDS (MESSAGE-ID FROM SUBJECT DATE CONTENT-TYPE)]<0>"

pytestmark = pytest.mark.needs("openssl")


@each(
    "answer, words",
    [
        (b"$ NO [UNAVAILABLE] Server error while fetching messages\r\n", "Server error while fetching"),
        (b"$ NO [INUSE] mailbox is locked\r\n", r"\[INUSE\] mailbox is locked"),
        (b"$ NO you are s3cr3t\r\n", r"you are \*\*\*"),
        (OK, "the server does not send what was asked for"),
        (b"* 1 FETCH (FLAGS ())\r\n" + OK, "the server does not send"),
        (b"* 1 FETCH (UID 1 " + FIELDS + b" NIL)\r\n" + OK, "the server does not send"),
        (line(7, 8, 9) + OK, "the server does not send"),
    ],
)
def test_unread_mail_that_the_server_does_not_show_is_no_empty_mailbox(tmp_path, home, answer, words):
    """emailjs-imap-client 60, offlineimap 429: NO, or OK without a word, was "no unread mail"."""
    with pytest.raises(TaskFailed, match=f"3 unread messages cannot be read: .*{words}"):
        checked(tmp_path, home, THREE, answer)


def test_one_message_that_the_server_does_not_show_costs_that_message(tmp_path, home):
    """MailKit 358: one message is broken on the server, for good; the others are read, and it is said."""
    report = checked(tmp_path, home, THREE, line(1, 3) + b"$ NO [SERVERBUG] internal error\r\n")
    words = "1 unread message cannot be read: [SERVERBUG] internal error"
    assert report == Report(f"2 unread, none urgent; {words}", warning=True)


def test_an_urgent_message_beside_a_broken_one_wakes(tmp_path, home):
    two = b"* SEARCH 1 2\r\n$ OK done\r\n"
    report = checked(
        tmp_path, home, two, line(2, sender="ct@example.org") + OK, fetched(2, b"", b"Come") + OK
    )
    assert isinstance(report, Report) and report.urgent and report.warning
    assert "URGENT:1 of 1 unread" in report.text and "1 unread message cannot be read" in report.text


def test_a_message_that_another_program_read_in_the_meantime_is_not_missed(tmp_path, home):
    left = b"* SEARCH 1 3\r\n$ OK done\r\n"
    answer = line(1, 3) + b"$ NO [EXPUNGEISSUED] some are gone\r\n"
    assert checked(tmp_path, home, [THREE, left], answer) == "2 unread, none urgent"


def test_headers_in_a_quoted_string_are_read(tmp_path, home):
    """RFC 3501 allows it, and imaplib leaves it in its line."""
    answer = (
        b'* 1 FETCH (UID 1 INTERNALDATE "02-Mar-2026 11:00:00 +0000" RFC822.SIZE 99 %s "%s")\r\n$ OK done\r\n'
    )
    one, sender = b"* SEARCH 1\r\n$ OK done\r\n", b'From: \\"Ct\\" <ct@example.org>'
    text = b'* 1 FETCH (UID 1 BODY[]<0> "Come")\r\n$ OK done\r\n'
    assert str(checked(tmp_path, home, one, answer % (FIELDS, sender), text)).startswith("URGENT:1 of 1")
    assert queue(home)[0]["from"] == '"Ct" <ct@example.org>'


def test_an_urgent_message_whose_text_is_refused_is_queued_and_that_is_said(tmp_path, home):
    one = b"* SEARCH 1\r\n$ OK done\r\n"
    report = checked(tmp_path, home, one, line(1, sender="ct@example.org") + OK, b"$ NO not now\r\n")
    assert isinstance(report, Report) and report.urgent and report.warning
    assert "the text of 1 urgent message cannot be read: not now" in report.text
    assert [each["truncated"] for each in queue(home)] == [True]


def test_a_server_that_says_goodbye_in_between_is_a_failure(tmp_path, home):
    with pytest.raises(TaskFailed, match=r"shutting down|cut the connection"):
        checked(tmp_path, home, THREE, line(1) + b"* BYE shutting down\r\n$ NO bye\r\n")


def test_two_reports_of_one_cron_job_are_two(tmp_path, home):
    """Neither date nor id: only when they arrived tells them apart."""
    head = b"From: ct@example.org\r\nSubject: disk\r\n\r\n"
    both = b"".join(
        b'* %d FETCH (UID %d INTERNALDATE "02-Mar-2026 11:0%d:00 +0000" RFC822.SIZE 99 %s {%d}\r\n%s)\r\n'
        % (uid, uid, uid, FIELDS, len(head), head)
        for uid in (1, 2)
    )
    two = b"* SEARCH 1 2\r\n$ OK done\r\n"
    texts = [fetched(uid, head, b"97%") + OK for uid in (2, 1)]
    assert str(checked(tmp_path, home, two, both + OK, *texts)).startswith("URGENT:2 of 2")
    assert len(queue(home)) == 2
    (tmp_path / "again").mkdir()
    assert checked(tmp_path / "again", home, two, both + OK) == "2 unread, 2 urgent, queued before"


def test_the_letter_after_a_named_attachment_is_found(tmp_path, home):
    """A long attachment first, then a text that is attached, too, then the letter."""
    one = b"* SEARCH 1\r\n$ OK done\r\n"
    head = b"From: ct@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    first = fetched(1, head, b"\r\n--b\r\nContent-Type: application/pdf\r\n\r\nJVBERi0").replace(
        b"SIZE ", b"SIZE 9"
    )
    heads = [
        b"Content-Type: application/pdf\r\n\r\n",
        b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\n",
    ]
    heads += [b"Content-Type: text/plain\r\n\r\n"]
    mime = b" ".join(b"BODY[%d.MIME]<0> {%d}\r\n%s" % (n, len(each), each) for n, each in enumerate(heads, 1))
    sections = b"* 1 FETCH (UID 1 " + mime + b")\r\n" + OK
    text = b"* 1 FETCH (UID 1 BODY[3]<0> {4}\r\nCome)\r\n" + OK
    long = line(1, sender="ct@example.org").replace(b"SIZE ", b"SIZE 9")
    assert str(checked(tmp_path, home, one, long + OK, first + OK, sections, text)).startswith("URGENT:1")
    assert [each["body"] for each in queue(home)] == ["Come"]
