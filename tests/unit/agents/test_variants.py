"""Shapes of output that programs print beside the plain ones: versions, interruptions, words around them."""

import json
from decimal import Decimal

from scheduler.agents.readers import read_report, refusal_in
from scheduler.agents.refusals.find_refusal import find_refusal
from scheduler.agents.refusals.http_answer import read_answer
from scheduler.agents.report import AgentReport, Ending
from tests.each import each
from tests.unit.agents.shapes import NOON, SHAPES, UTC, Shape, lines, result


def read(program: str, output: str, exit_code: int = 0) -> AgentReport:
    return read_report(program, output, exit_code, NOON, UTC)


# ------------------------------------------------------------------ what stands around a document

FINE = json.dumps(result())
AROUND = (
    FINE,
    "\ufeff" + FINE + "\r\n",  # a byte order mark
    "\n\n  " + FINE + "  \n\n",
    "working...\r\x1b[2K" + FINE,  # a progress line that is written over
    "\x1b[33mworking\x1b[0m\b\b\r\n\x1b7" + FINE + "\x1b8\x1b[0m\x07\r\n",
    "\x1b]0;a title\x07" + FINE + "\x00",
    FINE + "\nTip: a newer version exists {see: docs}\n",
    FINE + " and more words",
    json.dumps(result(), indent=2),
    json.dumps([{"type": "system", "session_id": "s1"}, result()]),  # --verbose
    json.dumps([{"type": "system"}, result()], indent=4).replace("\n", "\r\n"),
    "[1/3] loading\n[warning] {\n" + FINE,
    "2026-12-01T12:00:00Z host agent[42]: " + FINE,  # the prefix of a log
    "(node:1) a warning without an end of line" + FINE,
    "{ no JSON\n{'nor': this}\n[nor this\n" + FINE,
    json.dumps(result(result="last one\u2028in \x1b[31mred")),
)


@each("output", AROUND)
def test_the_result_is_found_whatever_stands_around_it(output: str) -> None:
    report = read("claude", output)
    assert (report.ending, report.cost, report.session) == (Ending.OK, Decimal("0.25"), "s1")


@each("cut", range(1, len(FINE)))
def test_a_result_that_is_cut_anywhere_costs_an_unknown_amount(cut: int) -> None:
    for output in (FINE[:cut], "text before\n" + FINE[:cut], FINE[cut:]):
        report = read("claude", output, 143)
        assert (report.kind, report.cost) == (Ending.NO_RESULT, None), output


def test_an_object_inside_a_cut_document_is_no_document() -> None:
    whole = json.dumps({"type": "assistant", "quoted": [result(total_cost_usd=999)]})
    assert read("claude", whole[:-3]).cost is None


@each(
    "number",
    [
        "1e999999999",
        "1e99999999999999999999999",
        "9" * 5000,
        "-1e999999999",
        "NaN",
        "-Infinity",
        "1e-999999999",
    ],
)
def test_no_number_ends_the_reading(number: str) -> None:
    text = FINE.replace("0.25", number).replace('"num_turns": 1', f'"num_turns": {number}')
    for program in ("claude", "codex", "gemini", "opencode", "goose", "aider", "ollama"):
        assert read(program, text).turns is None
    assert read("claude", text).session == "s1"


def test_counts_may_be_written_with_a_point() -> None:
    report = read("claude", lines(result(num_turns=3.0, usage={"input_tokens": 7.0, "output_tokens": 1e2})))
    assert (report.turns, report.tokens_in, report.tokens_out) == (3, 7, 100)


# ------------------------------------------------------------------ endings


@each("shape", SHAPES)
def test_each_shape_says_what_it_cost_and_how_it_ended(shape: Shape) -> None:
    report = read(shape.program, shape.output, shape.exit_code)
    moment = report.refusal.retry_at if report.refusal else None
    assert report.kind == shape.kind
    assert (None if moment is None else moment - NOON) == shape.seconds
    assert report.cost == (Decimal(shape.cost) if shape.cost else None)
    assert (report.tokens_in, report.tokens_out) == shape.tokens
    assert (report.turns, report.session) == (shape.turns, shape.session)


@each("shape", SHAPES)
def test_colours_and_line_ends_of_other_systems_change_nothing(shape: Shape) -> None:
    plain = read(shape.program, shape.output, shape.exit_code)
    coloured = "\ufeff\x1b[?25l\x1b[32m" + shape.output.replace("\r", "").replace("\n", "\x1b[0m\r\n\x1b[32m")
    assert read(shape.program, coloured, shape.exit_code) == plain


# ------------------------------------------------------------------ answers over HTTP


@each(
    ("head", "body", "kind", "seconds"),
    [
        ("HTTP/2 429\nretry-after: 90", "", "rate_limit", 90),
        ("HTTP/1.1 100 Continue\n\nHTTP/1.1 429 Too Many Requests\nRetry-After: 5", "", "rate_limit", 5),
        ("HTTP/1.1 200 Connection established\n\nHTTP/1.1 503 Busy", "", "overloaded", None),
        ("HTTP/1.1 402 Payment Required", '{"error":{"status":"RESOURCE_EXHAUSTED"}}', "billing", None),
        ("HTTP/1.1 402 Payment Required\nRetry-After: 9", "in_flight_budget_exhausted", "rate_limit", 9),
        (
            "HTTP/1.1 413 Too Large",
            '{"code":"rate_limit_exceeded","message":"Request too large"}',
            "context",
            None,
        ),
        ("HTTP/1.1 500 Oops", '{"type":"error","error":{"type":"api_error"}}', "overloaded", None),
        (
            "HTTP/1.1 429 Slow\nx-ratelimit-remaining-tokens: -1\nx-ratelimit-reset-tokens: 0",
            "",
            "rate_limit",
            None,
        ),
        (
            "HTTP/1.1 429 Slow\nanthropic-ratelimit-unified-reset: 1796130000",
            "rate_limit_error",
            "usage_limit",
            3600,
        ),
        (
            "HTTP/1.1 429 Slow",
            '{"details":[{"retryDelay":"34.5s","quotaId":"XPerMinute"}]}',
            "rate_limit",
            34.5,
        ),
        (
            "HTTP/1.1 429 Slow",
            '{"status":"RESOURCE_EXHAUSTED","message":"quota will reset after 2h","x":"QUOTA_EXHAUSTED"}',
            "quota",
            7200,
        ),
        (
            "HTTP/1.1 429 Slow",
            '{"message":"free-models-per-day","metadata":{"headers":{"X-RateLimit-Reset":"1796130000000"}}}',
            "quota",
            3600,
        ),
        (
            "HTTP/1.1 429 No\nx-amzn-ErrorType: ModelNotReadyException",
            '{"message":"wait"}',
            "overloaded",
            None,
        ),
        ("HTTP/1.1 429 No\nretry-after-ms: 2500\nRetry-After: 3", "", "rate_limit", 2.5),
        ("HTTP/1.1 429 No\nretry-after: Tuesday, 01-Dec-26 12:10:00 GMT", "", "rate_limit", 600),
        (
            "HTTP/1.1 429 No\nx-codex-secondary-used-percent: 100.0\nx-codex-secondary-reset-at: 1796130000",
            '{"error":{"type":"usage_limit_reached"}}',
            "usage_limit",
            3600,
        ),
        (
            "HTTP/1.1 400 No",
            "specified API usage limits. You will regain access on 2026-12-02 at 12:00 UTC.",
            "quota",
            86400,
        ),
        (
            "HTTP/1.1 400 No",
            "This model's maximum context length is 4096, you requested 9000",
            "context",
            None,
        ),
        ("HTTP/1.1 403 No", "Country, region, or territory not supported", "auth", None),
    ],
)
def test_answers_of_services(head: str, body: str, kind: str, seconds: float | None) -> None:
    for text in (f"{head}\n\n{body}", f"{head}\n\n{body}".replace("\n", "\r\n")):
        found = find_refusal(read_answer(text), NOON, UTC)
        assert found is not None and found.kind == kind
        assert (None if found.retry_at is None else found.retry_at - NOON) == seconds


def test_a_program_without_a_reader_may_print_the_answer_it_got() -> None:
    output = 'asking\nHTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\n{"error":"slow down"}\n'
    answered = refusal_in(output, NOON, UTC)
    assert answered is not None and answered.retry_at == NOON + 7
    billed = refusal_in(f"{output[:45]}\r\n\r\n" + '{"error":{"code":"insufficient_quota"}}', NOON, UTC)
    assert billed is not None and not billed.wait
    error = refusal_in('calling\n{"error":{"message":"Rate limit reached","retry_after":12}}\n', NOON, UTC)
    assert error is not None and error.retry_at == NOON + 12
    for said in (
        '{"type":"error","source":"loop","message":"402: 5-hour usage limit reached"}',
        '{"event":"result","result":{"status":"ERROR","error":"quota reached for you"}}',
        '{"type":"session.error","data":{"message":"you hit a rate limit"}}',
        '{"type":"result","subtype":"success","is_error":true,"result":"You\'ve hit your limit"}',
        '{"type":"message_end","message":{"stopReason":"error","errorMessage":"429 Slow down"}}',
        '{"level":"error","msg":"429 Busy"}',
    ):
        found = refusal_in(f"working\n{said}\n", NOON, UTC)
        assert found is not None and found.wait, said
    for said in ('{"answer":"%s"}', '{"answer":"%s","error":null}', '{"type":"result","result":"%s"}'):
        assert refusal_in(said % "a rate limit exceeded long ago" + "\nKeyError\n", NOON, UTC) is None
