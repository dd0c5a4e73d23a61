"""Who is let in by the browser's server: names, origins, tokens, cookies, and how often one may guess."""

import os
import stat
from pathlib import Path

import pytest

from tests.each import each
from tests.fakes import NOON
from tui.serve.access import (
    ADDRESSES,
    ALLOWED,
    FORGIVEN_AFTER,
    AccessPolicy,
    AccessRequest,
    Decision,
    Failures,
)
from tui.serve.address import BadAddress, address
from tui.serve.credentials import COOKIE_LASTS, BadToken, Credentials, token_in

TOKEN = "t" * 43
PUBLIC = "https://opus.example.org"


@each("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_this_machine_alone_needs_no_tls(host):
    assert address(host, 1).host == host


@each("host", ["0.0.0.0", "::", "192.0.2.1", "opus.example.org", ""])
def test_any_other_address_is_refused_unless_tls_stands_in_front(host):
    with pytest.raises(BadAddress, match="--public-url https://"):
        address(host, 1)
    assert address(host, 1, PUBLIC).origin == PUBLIC


@each(
    "url",
    [
        "http://opus.example.org",
        "opus.example.org",
        "https://",
        "https://opus.example.org/below",
        "https://me@opus.example.org",
        "https://opus.example.org?x=1",
        "https://opus.example.org:port",
        "",
    ],
)
def test_a_public_url_is_https_and_a_name_and_nothing_else(url):
    with pytest.raises(BadAddress, match="--public-url"):
        address("127.0.0.1", 1, url)


@each(
    ("host", "admitted"),
    [
        ("127.0.0.1:8023", True),
        ("localhost:9000", True),  # the far end of ssh -L has another port
        ("[::1]:8023", True),
        ("localhost", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example:8023", False),
        ("localhost.evil.example", False),
        ("evil.example@127.0.0.1:8023", False),
        ("127.0.0.1/evil.example", False),
        ("opus.example.org", False),
        ("", False),
        ("[", False),
        ("127.0.0.1:port", False),
    ],
)
def test_a_name_that_is_not_ours_is_a_page_elsewhere_that_leads_here(host, admitted):
    assert address("127.0.0.1", 8023).admits(host) is admitted


def test_behind_a_proxy_its_name_is_ours_too_on_its_port_alone():
    here = address("127.0.0.1", 8023, "https://Opus.Example.org:443/")
    assert here.origin == PUBLIC
    assert here.admits("opus.example.org") and here.admits("opus.example.org:443")
    assert not here.admits("opus.example.org:8443")
    assert here.origin_of("opus.example.org:443") == PUBLIC
    assert here.origin_of("localhost:9000") == "http://localhost:9000"


# ------------------------------------------------------------------ token and cookie


def test_a_cookie_lasts_for_a_month_and_as_long_as_the_token():
    credentials = Credentials(TOKEN)
    cookie = credentials.cookie(NOON)
    assert credentials.is_cookie(cookie, NOON + COOKIE_LASTS - 1)
    assert not credentials.is_cookie(cookie, NOON + COOKIE_LASTS + 1)
    assert not Credentials("u" * 43).is_cookie(cookie, NOON)


@each("given", ["", ".", "x", "9999999999", "9999999999.", "9999999999.ff", "\ud800", "é.é"])
def test_no_cookie_but_ours_is_one(given):
    assert not Credentials(TOKEN).is_cookie(given, NOON)
    assert not Credentials(TOKEN).is_token(given)


def test_a_later_end_needs_another_signature():
    credentials = Credentials(TOKEN)
    ends, _, signature = credentials.cookie(NOON).partition(".")
    assert not credentials.is_cookie(f"{int(ends) + 1}.{signature}", NOON)


def test_neither_token_nor_cookie_is_in_what_is_printed_of_them():
    assert TOKEN not in repr(Credentials(TOKEN))
    assert TOKEN not in Credentials(TOKEN).cookie_name(True) + Credentials(TOKEN).cookie(NOON)


def test_the_token_is_made_once_and_read_by_its_owner_alone(tmp_path):
    file = tmp_path / "state" / "serve.token"
    token = token_in(file)
    assert len(token) >= 40 and token_in(file) == token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [each.name for each in file.parent.iterdir()] == ["serve.token"]
    assert token_in(file, new=True) != token


@each("mode", [0o640, 0o604, 0o620])
def test_a_token_that_others_can_read_is_refused(tmp_path, mode):
    file = tmp_path / "serve.token"
    token_in(file)
    file.chmod(mode)
    with pytest.raises(BadToken, match="chmod 600"):
        token_in(file)


@each("content", ["", "short", "two words " * 8, "bell\a" * 8, "umlaut-ä" * 8])
def test_a_token_that_could_be_guessed_or_mistaken_is_refused(tmp_path, content):
    file = tmp_path / "serve.token"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(BadToken, match="--new-token"):
        token_in(file)


def test_a_pipe_in_place_of_the_token_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "serve.token", 0o600)
    with pytest.raises(BadToken, match="not a regular file"):
        token_in(tmp_path / "serve.token")


# ------------------------------------------------------------------ guesses


def test_ten_wrong_tokens_and_then_one_in_a_while():
    failures = Failures()
    for _ in range(ALLOWED):
        assert not failures.retry_after("192.0.2.1", 0)
        failures.record("192.0.2.1", 0)
    assert failures.retry_after("192.0.2.1", 0) == FORGIVEN_AFTER
    assert not failures.retry_after("192.0.2.2", 0)
    assert not failures.retry_after("192.0.2.1", FORGIVEN_AFTER)
    failures.record("192.0.2.1", FORGIVEN_AFTER)
    assert failures.retry_after("192.0.2.1", FORGIVEN_AFTER) == FORGIVEN_AFTER


def test_many_addresses_cost_no_memory():
    failures = Failures()
    for number in range(3 * ADDRESSES):
        failures.record(str(number), 0)
    assert len(failures) == ADDRESSES


# ------------------------------------------------------------------ the verdict


def asked(**more: object) -> AccessRequest:
    return AccessRequest(**({"peer": "192.0.2.1", "host": "127.0.0.1:8023"} | more))


@pytest.fixture
def policy() -> AccessPolicy:
    return AccessPolicy(address("127.0.0.1", 8023, PUBLIC), Credentials(TOKEN))


COOKIE = Credentials(TOKEN).cookie(NOON)
LOCAL = "http://127.0.0.1:8023"


@each(
    "request_, decision",
    [
        (asked(), Decision.NO_TOKEN),
        (asked(link=TOKEN), Decision.EXCHANGE),
        (asked(link="guess"), Decision.WRONG_TOKEN),
        (asked(bearer=TOKEN), Decision.ADMITTED),
        (asked(bearer="guess", link=TOKEN), Decision.WRONG_TOKEN),
        (asked(cookie=COOKIE), Decision.ADMITTED),
        (asked(cookie="1.ff"), Decision.NO_TOKEN),
        (asked(cookie="1.ff", link=TOKEN), Decision.EXCHANGE),
        (asked(cookie=COOKIE, link="the link of last week"), Decision.EXCHANGE),
        (asked(cookie=COOKIE, host="evil.example"), Decision.BAD_HOST),
        (asked(bearer=TOKEN, host="evil.example"), Decision.BAD_HOST),
        (asked(cookie=COOKIE, origin="http://evil.example"), Decision.BAD_ORIGIN),
        (asked(cookie=COOKIE, origin="null"), Decision.BAD_ORIGIN),
        (asked(cookie=COOKIE, origin=LOCAL), Decision.ADMITTED),
        (asked(cookie=COOKIE, origin=LOCAL, socket=True), Decision.ADMITTED),
        (asked(cookie=COOKIE, socket=True), Decision.BAD_ORIGIN),
        (asked(cookie=COOKIE, socket=True, origin="http://127.0.0.1:9000"), Decision.BAD_ORIGIN),
        (asked(cookie=COOKIE, socket=True, origin="https://127.0.0.1:8023"), Decision.BAD_ORIGIN),
        (asked(cookie=COOKIE, socket=True, host="opus.example.org", origin=PUBLIC), Decision.ADMITTED),
        (asked(cookie=COOKIE, socket=True, host="opus.example.org", origin=LOCAL), Decision.BAD_ORIGIN),
        (asked(cookie=COOKIE, socket=True, origin=PUBLIC), Decision.BAD_ORIGIN),
    ],
)
def test_who_comes_in(policy, request_, decision):
    assert policy.decide(request_, NOON, 0) is decision


def test_an_address_that_guesses_tokens_has_access_by_cookie_only(policy):
    for _ in range(ALLOWED):
        assert policy.decide(asked(bearer="guess"), NOON, 0) is Decision.WRONG_TOKEN
    assert policy.decide(asked(bearer=TOKEN), NOON, 0) is Decision.TOO_MANY
    assert policy.decide(asked(link=TOKEN), NOON, 0) is Decision.TOO_MANY
    assert policy.decide(asked(cookie=COOKIE), NOON, 0) is Decision.ADMITTED
    assert policy.decide(asked(bearer=TOKEN, peer="192.0.2.2"), NOON, 0) is Decision.ADMITTED
    assert policy.decide(asked(bearer=TOKEN), NOON, FORGIVEN_AFTER) is Decision.ADMITTED


def test_an_old_cookie_is_no_guess(policy):
    for _ in range(3 * ALLOWED):
        assert policy.decide(asked(cookie="1.ff"), NOON, 0) is Decision.NO_TOKEN
    assert policy.decide(asked(link=TOKEN), NOON, 0) is Decision.EXCHANGE


def test_the_token_file_is_beside_the_users_other_state(monkeypatch, tmp_path):
    from tui.serve.credentials import default_file

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_file().name == "serve.token"
    assert default_file().is_relative_to(tmp_path) or Path.home() in default_file().parents
