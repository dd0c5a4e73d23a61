"""Refusals: of which kind, whether to wait, and until when."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from scheduler.agents.refusals.find_refusal import Failure, Refusal, find_refusal
from scheduler.agents.refusals.http_answer import read_answer
from tests.each import each

UTC, BERLIN, NEW_YORK = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)  # a Tuesday


def refusal(
    text: str, status: int | None = None, now: datetime = NOON, zone: ZoneInfo = UTC
) -> Refusal | None:
    return find_refusal(Failure(text, status), now.timestamp(), zone)


def until(text: str, now: datetime = NOON, zone: ZoneInfo = UTC) -> str:
    found = refusal(text, 429, now, zone)
    assert found is not None
    return "" if found.retry_at is None else f"{datetime.fromtimestamp(found.retry_at, UTC):%m-%d %H:%M:%S}"


@each(
    ("text", "kind", "wait"),
    [
        ("Too many requests, slow down", "rate_limit", True),
        ("Rate limit reached for tokens per minute (TPM)", "rate_limit", True),
        ("Overloaded: the model is experiencing high load", "overloaded", True),
        ("API Error: 529 overloaded", "overloaded", True),
        ("ThrottlingException: Too many tokens", "rate_limit", True),
        ("You've hit your weekly limit", "usage_limit", True),
        ("You’ve hit your limit", "usage_limit", True),  # as programs print it
        ("Error: connect ECONNREFUSED", "network", True),
        ("Credit balance is too low", "billing", False),
        ("429: You exceeded your current quota, check your plan and billing", "billing", False),
        ("Not logged in · Please run /login", "auth", False),
        ("Incorrect API key provided: sk-...", "auth", False),
        ("Prompt is too long", "context", False),
        ("429 Request too large for model: Requested 9000, Limit 6000", "context", False),
        ("spend limit reached (daily)", "quota", False),
        ("spend limit reached (daily; resets 2026-12-02 00:00 UTC)", "quota", True),
        ("Budget has been exceeded! Current cost: 3, Max budget: 2", "quota", False),
        ("To use Codex with your ChatGPT plan, upgrade to Plus", "billing", False),
        ("402 Insufficient credits. Add more", "billing", False),
        ("unexpected status 401 Unauthorized: Missing bearer", "auth", False),
        ("User is not authorized to perform: bedrock:InvokeModel", "auth", False),
        ("Quota exceeded for quota metric 'Requests' and limit 'Requests per day per user'", "quota", True),
        ("Quota exceeded for quota metric 'Requests' and limit 'Requests per minute'", "rate_limit", True),
        ("exceeded retry limit, last status: 429 Too Many Requests", "rate_limit", True),
        ("unexpected status 503 Service Unavailable", "overloaded", True),
        ("API Error: Connection error.", "network", True),
        ("TypeError: fetch failed", "network", True),
        ("5-hour limit reached ∙ resets 2am", "usage_limit", True),
        (
            "You're out of Codex messages. Your rate limit resets on Jul 3, 2027, 11:43 AM.",
            "usage_limit",
            True,
        ),
        # From public issues: openai/codex 3764, gemini-cli 15576 and 24066, continue 6185 and 11584,
        # opencode 43327 and 12219, goose 10525, continue 10373, huggingface/agents-course 386,
        # Kimi-K2 5 and 34, dirge 818.
        (
            "stream disconnected before completion: Rate limit is exceeded. Try again in 4 s",
            "rate_limit",
            True,
        ),
        ("[API Error: You have exhausted your daily quota on this model.]", "quota", True),
        ("Resource has been exhausted (e.g. check quota).", "rate_limit", True),
        ("No capacity available for model gemini-2.5-pro", "overloaded", True),
        ("Service tier capacity exceeded for this model.", "overloaded", True),
        ("402 Prompt tokens limit exceeded: 23229 > 14796. To increase, visit", "billing", False),
        ("Upstream request failed: Endpoint is unavailable.", "overloaded", True),
        ("Network error: Stream decode error: error decoding response body", "network", True),
        ("429 Your team has either used all available credits or reached its limit", "billing", False),
        ("You have exceeded your monthly included credits for Inference Providers.", "billing", False),
        ("This request requires more credits, or fewer max_tokens.", "billing", False),
        ("organization exceeded current quota, please check your plan and billing details", "billing", False),
        ("request reached organization max RPM: 3, please try again after 1 seconds", "rate_limit", True),
        ("429: 已达到 5 小时的使用上限。您的限额将在 2026-12-01 17:41:44 重置。", "usage_limit", True),
        ("You've hit the rate limit for this model. Try again in 31 minutes.", "rate_limit", True),
        ("prompt token count of 150000 exceeds the limit of 128000", "context", False),
        ("This user's access has been limited for potentially suspicious activity", "auth", False),
        ("getaddrinfo ENOTFOUND api.example.org", "network", True),
        # The words of copilot-cli 2336, 2740, 2787; cursor 3703; qwen-code 1742; opencode 24473, 49170,
        # 50093; antigravity-cli 1018; amazon-q-developer-cli 2309; claudeclaw 22; roborev 1203; cline 12394.
        ("you've hit a rate limit that restricts model requests", "rate_limit", True),
        ("You've hit your global rate limit. Please wait 6 seconds", "rate_limit", True),
        ("you've exceeded your weekly rate limit", "usage_limit", True),
        ("You've hit your free requests limit", "usage_limit", True),
        ("You've reached your Tall 5 limit. Switch models", "usage_limit", True),
        ("429 Free allocated quota exceeded.", "quota", True),
        ("Subscription quota exceeded", "quota", True),
        ("Free usage exceeded, subscribe", "billing", False),
        ("Free usage exceeded, subscribe [retrying in 6h16m attempt #1]", "billing", True),
        ("RESOURCE_EXHAUSTED (code 429): Individual quota reached. Resets in 2h", "quota", True),
        ("Monthly request limit reached - The limits reset on 01/02", "usage_limit", True),
        ("You're out of extra usage · resets 10am", "usage_limit", True),
        ("402 Your allowance for this period is used up", "usage_limit", True),
        ("Server is temporarily limiting requests (not your usage limit)", "rate_limit", True),
        ("Not enough credits available", "billing", False),
        ("Tu límite de uso se restablece el 26 dic 2026, 2:40 p.m.", "usage_limit", True),
        ("429 Provider returned error", "rate_limit", True),
        ("✕ [API Error: 429 status code (no body)]", "rate_limit", True),
        ("403 Forbidden: access denied", "auth", False),
        ("<title>520: unknown error</title>", "overloaded", True),
        ("MODEL_CAPACITY_EXHAUSTED", "overloaded", True),
        ("your refresh token was already used. Please sign in again", "auth", False),
        ("httpx.ConnectError: All connection attempts failed", "network", True),
        ("curl: (28) Operation timed out after 30000 milliseconds", "network", True),
        ("Max retries exceeded with url: /v1 (Failed to resolve 'api.example.org')", "network", True),
        ("Your input exceeds the context window of this model", "context", False),
        ("request (9000 tokens) exceeds the available context size", "context", False),
        ("Input is too long for requested model", "context", False),
        ("Please reduce the length of the messages", "context", False),
        ("API key expired. Please renew the API key.", "auth", False),
        ("Your account has been suspended", "auth", False),
        ("Session expired. Please login again", "auth", False),
        ("your card was declined", "billing", False),
        ("You are out of free messages until 3 PM", "usage_limit", True),
        ("Daily limit reached", "usage_limit", True),
        ("Лимит использования исчерпан", "usage_limit", True),
        ("Request was throttled. Expected available in 30 seconds.", "rate_limit", True),
        ("tokens have exceeded your per-minute rate limit", "rate_limit", True),
        ("Concurrency limit exceeded for account", "rate_limit", True),
        ("Zu viele Anfragen", "rate_limit", True),
        ("Demasiadas solicitudes", "rate_limit", True),
        ("リクエストが多すぎます", "rate_limit", True),
        ("请求过于频繁，请稍后再试", "rate_limit", True),
        ("The server is busy. Please try again later.", "overloaded", True),
        ("We're currently experiencing high traffic", "overloaded", True),
        ("Der Dienst ist überlastet", "overloaded", True),
        ("服务繁忙，请稍后重试", "overloaded", True),
        ("dial tcp: lookup api.example.org: no such host", "network", True),
        ("net/http: request canceled (context deadline exceeded)", "network", True),
    ],
)
def test_the_words_say_the_kind_and_whether_waiting_helps(text: str, kind: str, wait: bool) -> None:
    found = refusal(text)
    assert found is not None
    assert (found.kind, found.wait) == (kind, wait)


@each(
    "text",
    [
        "", "Traceback: KeyError 'x'", "3 tests failed", "no such file: 429.txt",
        "FileNotFoundError: notes.md", "ModuleNotFoundError: No module named 'x'",
        "tests/test_api_error.py failed", "KeyError: 'server_errors'", "500 tests failed",
        "context deadline", "throttled CPU", "the busy server test failed", "SyntaxError: invalid token",
        "Disk quota exceeded", "memory usage limit exceeded: killed", "maximum recursion depth exceeded",
    ],
)  # fmt: skip
def test_an_ordinary_failure_is_no_refusal(text: str) -> None:
    assert refusal(text) is None


@each(
    ("status", "kind"),
    [
        (401, "auth"),
        (402, "billing"),
        (413, "context"),
        (429, "rate_limit"),
        (503, "overloaded"),
        (529, "overloaded"),
    ],
)
def test_without_words_the_status_decides(status: int, kind: str) -> None:
    for found in (refusal("?", status), refusal(f"request failed with status code {status}")):
        assert found is not None
        assert found.kind == kind


def test_the_same_words_mean_a_limit_where_the_service_says_so() -> None:
    """Gemini says "exceeded your current quota" of a limit by the minute; others say it of an unpaid bill."""
    text = '"You exceeded your current quota", "RESOURCE_EXHAUSTED", "quotaId": "Per%s", "retryDelay": "34s"'
    minute, day = refusal(text % "Minute"), refusal(text % "Day")
    assert minute == Refusal("rate_limit", wait=True, retry_at=NOON.timestamp() + 34)
    assert day == Refusal("quota", wait=True)  # half a minute is not when a day's quota is back


@each(
    ("words", "moment"),
    [
        ("resets 3pm (America/New_York)", "12-01 20:00:00"),
        ("resets 12am", "12-02 00:00:00"),
        ("resets 12pm", "12-02 12:00:00"),  # strictly later
        ("try again at 4:05 PM", "12-01 16:05:00"),
        ("try again at 16:05", "12-01 16:05:00"),
        ("resets Sun 12:00am", "12-06 00:00:00"),
        ("resets Mar 9, 7am (Asia/Tokyo)", "03-08 22:00:00"),
        ("resets Apr 23 at 4pm", "04-23 16:00:00"),
        ("try again at May 11th, 2027 1:36 PM", "05-11 13:36:00"),
        ("try again after December 6, 2026, 18:15", "12-06 18:15:00"),
        ("try again after 10 de dez. de 2026, 11:52", "12-10 11:52:00"),
        ("regain access on 2026-12-09 at 06:00 UTC", "12-09 06:00:00"),
        ("try again in 2 days 17 hours 14 minutes", "12-04 05:14:00"),
        ("reset after 8h44m7s", "12-01 20:44:07"),
        ("Please try again in 4.77s", "12-01 12:00:04"),
        ("Please retry after 37 seconds", "12-01 12:00:37"),
        ("Please retry in 900ms", "12-01 12:00:00"),
        ("limit reached|1796144400", "12-01 17:00:00"),
        ("retry after 0 seconds", ""),
        ("resets at 1496144400", ""),  # years ago
        ("resets soon", ""),
    ],
)
def test_the_moment_that_the_words_name(words: str, moment: str) -> None:
    assert until(f"rate limit exceeded; {words}") == moment


def test_a_clock_time_is_that_of_the_machine_unless_the_text_names_a_zone() -> None:
    assert until("hit your limit · resets 3pm", zone=BERLIN) == "12-01 14:00:00"
    assert until("hit your limit · resets 3pm (UTC)", zone=BERLIN) == "12-01 15:00:00"


def test_a_service_that_names_no_zone_may_mean_its_own() -> None:
    said = '"code":"1308","message":"Usage limit reached for 5 hour. It will reset at 2026-12-02 05:38:28"'
    assert until(said, zone=NEW_YORK) == "12-01 21:38:28"  # model-hotel 955: the time in China


def test_a_night_in_which_clocks_change() -> None:
    evening = datetime(2027, 3, 13, 23, 30, tzinfo=NEW_YORK)
    assert until("hit your limit · resets 4am (America/New_York)", evening) == "03-14 08:00:00"


@each(
    ("headers", "seconds"),
    [
        ("retry-after: 17\nx-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 4m30s", 17.0),
        ("Retry-After: Tue, 01 Dec 2026 12:15:00 GMT", 900.0),
        ("retry-after-ms: 1500\nretry-after: 2", 1.5),
        (
            "x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 4m30s\nx-ratelimit-reset-other: 8ms",
            270.0,
        ),
        ("a-requests-remaining: 0\na-requests-reset: 2026-12-01T12:00:40Z", 40.0),
        ("x-codex-primary-used-percent: 100\nx-codex-primary-reset-at: 1796127000", 600.0),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1796127000000", 600.0),
        ("x-ms-retry-after-ms: 1500\nRetry-After: 2", 1.5),
        ("x-ratelimit-retry-after: 17", 17.0),
        ('retry-after: "30"', 30.0),
        ('ratelimit: "default";r=0;t=30', 30.0),
        ("ratelimit: limit=100, remaining=0, reset=30", 30.0),
        ('ratelimit: "default";r=9;t=30', None),
        ('ratelimit: "burst";r=0;t=60, "daily";r=0;t=3600', 3600.0),
        ("retry-after: 30, 30", 30.0),  # two headers, joined
        ("retry-after: 30; comment=soon", 30.0),
        ("retry-after: 5 seconds", 5.0),
        ("retry-after: PT1M30S", 90.0),
        ("x-rate-limit-retry-after-seconds: 30", 30.0),
        ("x-ratelimit-remaining: 0\nx-ratelimit-reset-after: 17.5", 17.5),
        (
            "a-unified-5h-status: rejected\na-unified-5h-reset: 1796127000\n"
            "a-unified-7d-status: allowed\na-unified-7d-reset: 1796900000",
            600.0,
        ),
        ("retry-after: 3\u0660", None),
        ("retry-after: 0", None),
        ("retry-after: -1", None),
        ("retry-after: soon", None),
    ],
)
def test_headers_come_before_words(headers: str, seconds: float | None) -> None:
    answer = read_answer(f"HTTP/1.1 429 Too Many Requests\r\n{headers}\r\n\r\nbusy".replace("\n", "\r\n"))
    found = find_refusal(answer, NOON.timestamp(), UTC)
    assert found is not None
    assert found.retry_at == (None if seconds is None else pytest.approx(NOON.timestamp() + seconds))
