"""Urgent mail: senders are parsed, not searched; subjects are compared by whole words."""

import pytest

from scheduler.handlers.email_check.rules import HIGH, URGENT, addresses, normalize_words, priority, sender
from scheduler.schema.values import InvalidValue
from tests.each import each

FROM = ("ct@example.org", "@example.net")


def test_the_addresses_of_a_from_header():
    for header, found in (
        ("ct@example.org", "ct@example.org"),
        ("<ct@example.org>", "ct@example.org"),
        ("Ada <CT@Example.ORG>", "ct@example.org"),
        ('"Ada, of Ct" <ct@example.org>', "ct@example.org"),
        ("=?utf-8?q?Ada?= <ct@example.org.>", "ct@example.org"),
        ("ct@example.org (Ada)", "ct@example.org"),
        (r"Pete(A wonderful \) chap) <ct(his account)@example.org(his (own) host)>", "ct@example.org"),
        ("Ada ct@example.org", "ct@example.org"),
        ("<@relay.example,@b.example:ct@example.org>", ""),  # routes went out in 1989
        ("Team: ct@example.org, mira@example.com;", "ct@example.org mira@example.com"),
        ("Ada <ct@example.org>, mira@example.com", "ct@example.org mira@example.com"),
        ('"odd one"@example.org', ""),
        ('"ct"@example.org', "ct@example.org"),
        ("J <jdöe@mächine.example>", "jdöe@xn--mchine-bua.example"),
        # What only looks like an address is none.
        ("ct@example.org <eve@example.com>", "eve@example.com"),
        ('"ct@example.org" <eve@example.com>', "eve@example.com"),
        ('"<ct@example.org>" <eve@example.com>', "eve@example.com"),
        (r'"\" <ct@example.org>" <eve@example.com>', "eve@example.com"),
        ("(ct@example.org) eve@example.com", "eve@example.com"),
        ("=?utf-8?q?=3Cct=40example.org=3E?= <eve@example.com>", "eve@example.com"),
        ("<ct@example.org> <eve@example.com>", "eve@example.com"),
        ("ct@example.org eve@example.com", ""),
        ("<ct@example.org eve@example.com>", ""),
        ("ct@example.org@example.com", ""),
        ('"ct@example.org"@example.com', ""),
        ('"<ct@example.org>"@example.com', ""),
        ('"Ada" "<ct@example.org>"@example.com', ""),
        ("", ""),
        ("undisclosed-recipients:;", ""),
    ):
        assert " ".join(addresses(header)) == found, (header, found)


def test_a_sender_is_an_exact_address_or_domain():
    for address, urgency in (
        ("ct@example.org", URGENT),
        ("notct@example.org", ""),
        ("ct@example.org.evil.example", ""),
        ("ct@sub.example.org", ""),
        ("anybody@example.net", URGENT),
        ("anybody@notexample.net", ""),
        ("anybody@sub.example.net", ""),
        ("anybody@example.net.evil.example", ""),
    ):
        assert priority(addresses(f"Ann Example <{address}>"), "hello", FROM, ()) == urgency, (
            address,
            urgency,
        )


def test_a_subject_is_urgent_by_whole_words_in_any_case():
    for subject, words, urgent in (
        ("URGENT: fire", "urgent", True),
        ("Insurgents", "urgent", False),
        ("urgently", "urgent", False),
        ("the Server   is\u00a0down!", "server is down", True),
        ("STRASSE gesperrt", "straße", True),
        ("ＵＲＧＥＮＴ", "urgent", True),
        ("【緊急連絡】", "緊急", True),
        ("[!!] disk", "[!!]", True),
        ("c++ broke", "c++", True),
        ("non-urgent", "urgent", True),
        ("", "urgent", False),
    ):
        assert priority((), subject, (), (words,)) == (HIGH if urgent else ""), (subject, words, urgent)


def test_the_sender_counts_for_more_than_the_subject():
    assert priority(("ct@example.org",), "urgent", FROM, ("urgent",)) == URGENT
    assert priority(("a@example.com",), "urgent", FROM, ("urgent",)) == HIGH
    assert priority((), "urgent", (), ()) == ""


def test_what_may_be_written_as_urgent_from():
    for written, meant in (
        ("ct@example.org", "ct@example.org"),
        (" CT@Example.org ", "ct@example.org"),
        ("example.org", "@example.org"),
        ("@Example.org", "@example.org"),
        ("localhost", "@localhost"),
        ("mächine.example", "@xn--mchine-bua.example"),
    ):
        assert sender(written) == meant, (written, meant)


@each("written", ["", "@", "ct@", "a b@example.org", "*@example.org", "Ada <ct@example.org>", "a..b", 3])
def test_what_is_no_sender_is_refused(written):
    with pytest.raises(InvalidValue):
        sender(written)


def test_folding_is_for_comparing():
    assert normalize_words(" Ｓerver\tDOWN ") == "server down"
