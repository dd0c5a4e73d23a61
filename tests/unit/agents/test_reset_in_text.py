"""The moment that a refusal names, in the many ways in which services write it."""

import random
from datetime import datetime
from zoneinfo import ZoneInfo

from scheduler.agents.readers import READERS, read_report
from scheduler.agents.refusals.find_refusal import find_refusal
from scheduler.agents.refusals.http_answer import read_answer
from scheduler.agents.refusals.reset_in_text import moment_in_text
from tests.each import each

UTC, BERLIN, NEW_YORK = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()  # a Tuesday


@each(
    ("text", "zone", "moment"),
    [
        ('5-hour limit reached ∙ resets 2am', UTC, "2026-12-02T02:00:00"),
        ('Weekly limit reached · resets 10am (Asia/Seoul) · /upgrade to Max', UTC, "2026-12-02T01:00:00"),
        ('Your rate limit resets on Jul 3, 2027, 11:43 AM. To continue', UTC, "2027-07-03T11:43:00"),
        ('try again after 21:15 on December 7, 2026', UTC, "2026-12-07T21:15:00"),
        ('try again after December 7, 2026 at 21:15', UTC, "2026-12-07T21:15:00"),
        ('Seu limite de uso será redefinido em 10 de jul. de 2027, 11:52.', UTC, "2027-07-10T11:52:00"),
        ('resets 4:05 p.m.', UTC, "2026-12-01T16:05:00"),
        ('resets at 4 PM', UTC, "2026-12-01T16:00:00"),
        ('try again at 4:05\u202fPM.', UTC, "2026-12-01T16:05:00"),
        ('resets in 2h 5m', UTC, "2026-12-01T14:05:00"),
        ('resets in 2 hours and 5 minutes', UTC, "2026-12-01T14:05:00"),
        ('resets in 2 hours, 5 minutes, 3 seconds', UTC, "2026-12-01T14:05:03"),
        ('Resets in: 3h12m', UTC, "2026-12-01T15:12:00"),
        ('try again in about 3 hours', UTC, "2026-12-01T15:00:00"),
        ('try again in ~45 min', UTC, "2026-12-01T12:45:00"),
        ('try again in an hour', UTC, "2026-12-01T13:00:00"),
        ('try again in a minute', UTC, "2026-12-01T12:01:00"),
        ('wait 30 seconds before retrying', UTC, "2026-12-01T12:00:30"),
        ('Please wait 90s', UTC, "2026-12-01T12:01:30"),
        ('Retry-After: 30', UTC, "2026-12-01T12:00:30"),
        ('retry-after-ms: 1500', UTC, "2026-12-01T12:00:01.5"),
        ('"retry_after": 12.5', UTC, "2026-12-01T12:00:12.5"),
        ('"retryAfter":"45"', UTC, "2026-12-01T12:00:45"),
        ('"retry_after_seconds": 20', UTC, "2026-12-01T12:00:20"),
        ('"retry_delay_ms": 5000', UTC, "2026-12-01T12:00:05"),
        ('Retry-After: Tue, 01 Dec 2026 12:15:30 GMT', BERLIN, "2026-12-01T12:15:30"),
        ('retry after 37 seconds', UTC, "2026-12-01T12:00:37"),
        ('Please retry after 2026-12-01T12:15:30Z', UTC, "2026-12-01T12:15:30"),
        ('resets 2026-12-01T12:15:30.250+01:00', UTC, None),
        ('resets 2026-12-01 14:15:30', BERLIN, "2026-12-01T13:15:30"),
        ('resets on 2026-12-24', UTC, "2026-12-24T00:00:00"),
        ('resets on December 24, 2026', UTC, "2026-12-24T00:00:00"),
        ('resets Dec 24', UTC, "2026-12-24T00:00:00"),
        ('resets Monday', UTC, "2026-12-07T00:00:00"),
        ('resets Mon at 9:30am', UTC, "2026-12-07T09:30:00"),
        ('resets Thursday, 9am (Asia/Kolkata)', UTC, "2026-12-03T03:30:00"),
        ('resets tomorrow at 3am', UTC, "2026-12-02T03:00:00"),
        ('resets tomorrow 11:30pm (Europe/Berlin)', UTC, "2026-12-02T22:30:00"),
        ('resets at midnight UTC', BERLIN, "2026-12-02T00:00:00"),
        ('resets at noon', BERLIN, "2026-12-02T11:00:00"),
        ('resets at midnight Pacific Time', UTC, "2026-12-02T08:00:00"),
        ('resets 3pm PT', UTC, "2026-12-01T23:00:00"),
        ('resets 3pm PST', UTC, "2026-12-01T23:00:00"),
        ('resets 3pm ET', UTC, "2026-12-01T20:00:00"),
        ('resets 15:00 CET', UTC, "2026-12-01T14:00:00"),
        ('resets 15:00 (GMT+2)', UTC, "2026-12-01T13:00:00"),
        ('resets 15:00 (UTC-05:00)', UTC, "2026-12-01T20:00:00"),
        ('resets 3pm (UTC+5:30)', UTC, "2026-12-02T09:30:00"),
        ('resets 3pm (America/Argentina/Buenos_Aires)', UTC, "2026-12-01T18:00:00"),
        ('resets 3pm (America/Port-au-Prince)', UTC, "2026-12-01T20:00:00"),
        ('resets 3pm (Etc/GMT+5)', UTC, "2026-12-01T20:00:00"),
        ('resets 3pm (Africa/Abidjan)', BERLIN, "2026-12-01T15:00:00"),
        ('resets 11:30pm (Pacific/Kiritimati)', UTC, "2026-12-02T09:30:00"),
        ('limit reached|1796144400000', UTC, "2026-12-01T17:00:00"),
        ('"resetsAt": 1796144400', UTC, "2026-12-01T17:00:00"),
        ('"resets_at":"1796144400"', UTC, "2026-12-01T17:00:00"),
        ('{"X-RateLimit-Reset":"1796144400000"}', UTC, "2026-12-01T17:00:00"),
        ('resets at 1796144400', UTC, "2026-12-01T17:00:00"),
        ('usage limit will reset at 1796144400.', UTC, "2026-12-01T17:00:00"),
        ('2027年1月6日 11:15 以降', UTC, "2027-01-06T11:15:00"),
        ('2027年1月6日 下午3:15', UTC, "2027-01-06T15:15:00"),
        ('6. Dezember 2026 um 18:15', UTC, "2026-12-06T18:15:00"),
        ('le 6 décembre 2026 à 18:15', UTC, "2026-12-06T18:15:00"),
        ('06.12.2026, 18:15', UTC, "2026-12-06T18:15:00"),
        ('resets 12/6/2026, 6:15 PM', UTC, "2026-12-06T18:15:00"),
        ('Please try again in 6m0s.', UTC, "2026-12-01T12:06:00"),
        ('Please try again in 20ms.', UTC, "2026-12-01T12:00:00.02"),
        ('Please try again in 1m26.4s', UTC, "2026-12-01T12:01:26.4"),
        ('retryDelay": "34.074824224s"', UTC, "2026-12-01T12:00:34.074824224"),
        ('retryDelay": "0s"', UTC, None),
        ('retryDelay: 16100s', UTC, "2026-12-01T16:28:20"),
        ('try again in 1 day', UTC, "2026-12-02T12:00:00"),
        ('try again in 3 days 4 hours 12 minutes', UTC, "2026-12-04T16:12:00"),
        ('try again in 1 week', UTC, "2026-12-08T12:00:00"),
        ('reset after 8h44m7s', UTC, "2026-12-01T20:44:07"),
        ('try again at Dec 6th, 2026 1:36 PM.', UTC, "2026-12-06T13:36:00"),
        ('try again at 1:36 PM', BERLIN, "2026-12-01T12:36:00"),
        ('regain access on 2026-12-09 at 06:00 UTC', BERLIN, "2026-12-09T06:00:00"),
        ('resets 3:45pm · /upgrade', UTC, "2026-12-01T15:45:00"),
        ('hit your weekly limit · resets Dec 4, 12:59am (America/Los_Angeles)', UTC, "2026-12-04T08:59:00"),
        ('when your cycle ends on 12/24/2026.', BERLIN, "2026-12-23T23:00:00"),
        ('The limits reset on 01/02', UTC, "2027-01-02T00:00:00"),
        ('You can resume using this model at 12/8/2026, 10:05:12 AM', UTC, "2026-12-08T10:05:12"),
        ('Refreshes in 6 days and 18 hours', UTC, "2026-12-08T06:00:00"),
        ('Come back in 3h 47m', UTC, "2026-12-01T15:47:00"),
        ('reset is expected within 24h', UTC, "2026-12-02T12:00:00"),
        ('Try again in 2:13:05', UTC, "2026-12-01T14:13:05"),
        ('Try again in 1 day, 0:00:09', UTC, "2026-12-02T12:00:09"),
        ('Time until reset: 2h30m', UTC, "2026-12-01T14:30:00"),
        ('"resets_in_seconds":900', UTC, "2026-12-01T12:15:00"),
        ('"reset_after_seconds": 60', UTC, "2026-12-01T12:01:00"),
        ('"reset_in":"20s"', UTC, "2026-12-01T12:00:20"),
        ('try again after 2026/12/09 15:00', UTC, "2026-12-09T15:00:00"),
        ('resets 1.30pm', UTC, "2026-12-01T13:30:00"),
        ('resets Friday at noon', UTC, "2026-12-04T12:00:00"),
        ('resets next Monday at 8am', UTC, "2026-12-07T08:00:00"),
        ('resets on the 1st of January', UTC, "2027-01-01T00:00:00"),
        ('available again on the 5th of December at 3pm', UTC, "2026-12-05T15:00:00"),
        ('resets at 1:00 PM -0500', UTC, "2026-12-01T18:00:00"),
        ('resets 8pm MSK', UTC, "2026-12-01T17:00:00"),
        ('try again in half an hour', UTC, "2026-12-01T12:30:00"),
        ('try again in one hour', UTC, "2026-12-01T13:00:00"),
        ('resets in less than a minute', UTC, "2026-12-01T12:01:00"),
        ('try again in PT30M', UTC, "2026-12-01T12:30:00"),
        ('retry_after: PT1H2M3S', UTC, "2026-12-01T13:02:03"),
        ('try again in P1DT2H', UTC, "2026-12-02T14:00:00"),
        ('retry-after 30', UTC, "2026-12-01T12:00:30"),
        ('"retryDelay":{"seconds":34}', UTC, "2026-12-01T12:00:34"),
        ('in 100:99', UTC, None),
        ('retry after 3 attempts', UTC, None),
        ('timed out 5 times at 3 places', UTC, None),
        ('Sonnet 4 5 limit', UTC, None),
        ('error at 12:15 in module', UTC, None),
        ('monthly 5 things', UTC, None),
        ('resets 1:30am (America/New_York)', NEW_YORK, "2026-12-02T06:30:00"),
        ('resets 25:00', UTC, None),
        ('resets Feb 30, 3pm', UTC, None),
        ('resets at 0', UTC, None),
        ('try again in 0 seconds', UTC, None),
        ('try again in 999999 days', UTC, None),
    ],
)  # fmt: skip
def test_the_moment_in_words(text: str, zone: ZoneInfo, moment: str | None) -> None:
    """Never earlier than the service means, and at most a second later."""
    found = moment_in_text(" ".join(text.split()), NOON, zone)
    wanted = None if moment is None else datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    assert (found is None) == (wanted is None)
    assert found is None or wanted is None or 0 <= found - wanted <= 1


@each(
    ("text", "moment"),
    [
        ("Nutzungslimit erreicht. Versuche es erneut um 18:15 Uhr.", "2026-12-01T18:15:00"),
        ("Versuche es in 2 Stunden und 5 Minuten erneut.", "2026-12-01T14:05:00"),
        ("Versuche es morgen um 9 Uhr erneut", "2026-12-02T09:00:00"),
        ("Limite atteinte. Réessayez à 18h15.", "2026-12-01T18:15:00"),
        ("Réessayez dans 45 minutes", "2026-12-01T12:45:00"),
        ("Inténtalo de nuevo a las 18:15", "2026-12-01T18:15:00"),
        ("se restablece en 3 horas y 5 minutos", "2026-12-01T15:05:00"),
        ("Riprova tra 3 ore", "2026-12-01T15:00:00"),
        ("Tente novamente em 3 dias", "2026-12-04T12:00:00"),
        ("Probeer het over 2 uur opnieuw", "2026-12-01T14:00:00"),
        ("Попробуйте снова через 3 часа", "2026-12-01T15:00:00"),
        ("лимит сбросится в 18:15", "2026-12-01T18:15:00"),
        ("あと3時間20分後にリセットされます", "2026-12-01T15:20:00"),
        ("18:15 にリセットされます", "2026-12-01T18:15:00"),
        ("请在 3 小时 20 分钟后重试", "2026-12-01T15:20:00"),
        ("将于明天下午3:15重置", "2026-12-02T15:15:00"),
        ("3시간 후에 다시 시도하세요", "2026-12-01T15:00:00"),
        ("오후 3:15에 재설정됩니다", "2026-12-01T15:15:00"),
        ("1월 6일 오후 3:15에 재설정됩니다", "2027-01-06T15:15:00"),
        ("resets at １５：００", "2026-12-01T15:00:00"),
    ],
)
def test_the_moment_in_the_words_of_other_languages(text: str, moment: str) -> None:
    """openai/codex 28089: the text is in the language of the account, not of the program."""
    found = moment_in_text(text, NOON, UTC)
    assert found == datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()


def test_an_hour_that_comes_twice_comes_again() -> None:
    between = datetime(2026, 11, 1, 1, 40, tzinfo=NEW_YORK)  # clocks go back at 2
    found = moment_in_text("resets 1:30am", between.timestamp(), NEW_YORK)
    assert found == datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=1).timestamp()


WORDS = (
    *(
        "resets",
        "at",
        "after",
        "in",
        "retry-after:",
        "usage limit reached|",
        "Dec",
        "31st,",
        "Feb",
        "30",
        "um",
    ),
    *(
        "2026年1月6日",
        "9999-99-99T99:99:99Z",
        "25:61pm",
        "(Etc/Nope)",
        "America/Argentina",
        "GMT+99",
        "1e9",
        "0",
    ),
    *(
        "-1",
        "99999999999999999999",
        "Monday",
        "midnight",
        "5h",
        "3 days",
        "HTTP/1.1 429",
        "{",
        "}",
        "[",
        "\x1b[",
    ),
    *("\n", "\r", '{"type":"result"', '"error":{"code":429}}', 'resets_at":0', 'retryDelay":"s"', "tomorrow"),
    *("on", "de", "12.13.2026,", "1:1", "/", "\ud800"),
)


def test_no_words_end_the_reading() -> None:
    chance = random.Random(7)
    for _ in range(400):
        text = " ".join(chance.choices(WORDS, k=chance.randrange(1, 12)))
        found = find_refusal(read_answer(text), NOON, BERLIN)
        assert found is None or found.retry_at is None or NOON < found.retry_at < NOON + 500 * 86400, text
        for program in READERS:
            read_report(program, text, 1, NOON, BERLIN)
