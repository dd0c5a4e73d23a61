"""What agents' programs print: cost, tokens, turns, session and ending, in whatever stands around them."""

import csv
import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from scheduler.agents import PROGRAMS
from scheduler.agents.readers import READERS, read_report
from scheduler.agents.refusals.find_refusal import find_refusal
from scheduler.agents.refusals.http_answer import read_answer
from scheduler.agents.report import AgentReport, Ending
from scheduler.core.costs import Usage
from tests.each import each

UTC = ZoneInfo("UTC")
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()
SAMPLES = Path(__file__).parents[3] / "../shared/data/agents/samples"

RESULT = '{"type":"result","subtype":"%s","is_error":%s,"result":"%s","session_id":"s1","total_cost_usd":%s}'
FINE = RESULT % ("success", "false", "done", "0.25")


def read(program: str, *lines: str, exit_code: int = 0) -> AgentReport:
    return read_report(program, "\n".join(lines), exit_code, NOON, UTC)


# ------------------------------------------------------------------ claude


def test_a_cost_is_read_to_the_last_digit() -> None:
    report = read("claude", RESULT % ("success", "false", "x", "1234567890123456789.12345678901234567891"))
    assert report.cost == Decimal("1234567890123456789.12345678901234567891")


@each("cost", ["null", "-1", "NaN", "Infinity", '"0.1"', "true", "[]"])
def test_what_is_no_amount_is_an_unknown_cost(cost: str) -> None:
    assert read("claude", RESULT % ("success", "false", "x", cost)).cost is None


def test_a_cost_of_zero_is_known() -> None:
    assert read("claude", RESULT % ("success", "false", "x", "0")).cost == 0


def test_two_results_of_one_session_are_a_running_total_and_those_of_two_add_up() -> None:
    later, other = FINE.replace("0.25", "0.40"), FINE.replace("s1", "s2")
    assert read("claude", FINE, later).cost == Decimal("0.40")
    assert read("claude", FINE, later, other).cost == Decimal("0.65")


def test_colours_warnings_and_broken_lines_around_the_result_do_no_harm() -> None:
    around = ("(node) warning {see: docs}", "{ no JSON", "\x1b[32m" + FINE + "\x1b[0m\r")
    assert read("claude", *around).cost == Decimal("0.25")


def test_a_result_that_is_cut_off_has_no_cost_but_its_session_is_known() -> None:
    report = read("claude", '{"type":"system","session_id":"s9"}', FINE[:-6], exit_code=143)
    assert (report.ending, report.cost, report.session) == (Ending.NO_RESULT, None, "s9")
    assert report.refusal is None


@each(
    ("subtype", "is_error", "ending"),
    [
        ("success", "false", Ending.OK),
        ("success", "true", Ending.ERROR),
        ("error_max_turns", "true", Ending.TURN_LIMIT),
        ("error_max_budget_usd", "false", Ending.BUDGET_LIMIT),
        ("error_during_execution", "false", Ending.ERROR),
    ],
)
def test_subtype_and_flag_may_disagree(subtype: str, is_error: str, ending: Ending) -> None:
    assert read("claude", RESULT % (subtype, is_error, "x", "1")).ending is ending


def test_a_good_answer_may_talk_about_limits() -> None:
    report = read("claude", RESULT % ("success", "false", "Claude AI usage limit reached|1796144400", "1"))
    assert report.refusal is None


def test_the_rejected_event_names_the_moment_and_a_warning_does_not() -> None:
    event = '{"type":"rate_limit_event","rate_limit_info":{"status":"%s","resetsAt":%d}}'
    failed = RESULT % ("success", "true", "You've hit your session limit · resets 6pm", "0.1")
    lines = (event % ("rejected", NOON + 3600), event % ("allowed_warning", NOON + 999999), failed)
    report = read("claude", *lines, exit_code=1)
    assert report.refusal is not None
    assert (report.kind, report.refusal.retry_at, report.cost) == ("usage_limit", NOON + 3600, Decimal("0.1"))


def test_plain_text_of_a_failed_run_is_searched_for_a_refusal_and_of_a_good_run_is_not() -> None:
    words = "You've hit your limit · resets 3pm (America/New_York)"
    assert read("claude", words, exit_code=1).kind == "usage_limit"
    assert read("claude", words).refusal is None


def test_tokens_by_model_are_those_of_the_last_result_of_each_session() -> None:
    used = '"modelUsage":{"%s":{"inputTokens":3,"cacheReadInputTokens":4,"outputTokens":5}},'
    first, later = (FINE.replace('"total', used % model + '"total') for model in ("a", "b"))
    other = first.replace("s1", "s2")
    assert read("claude", first, later, other).used == (Usage("b", 7, 5), Usage("a", 7, 5))


# ------------------------------------------------------------------ the others


def test_codex_counts_the_thread_once_and_the_last_turn_decides() -> None:
    turn = '{"type":"turn.completed","usage":{"input_tokens":%d,"cached_input_tokens":9,"output_tokens":%d}}'
    lines = ('{"type":"thread.started","thread_id":"t1"}', '{"type":"error","message":"Reconnecting... 1/5"}')
    report = read("codex", *lines, turn % (10, 1), turn % (30, 4))
    assert (report.tokens_in, report.tokens_out, report.turns, report.session) == (30, 4, 2, "t1")
    assert report.ending is Ending.OK
    failed = read(
        "codex", *lines, '{"type":"turn.failed","error":{"message":"model is at capacity"}}', exit_code=1
    )
    assert (failed.kind, failed.turns) == ("overloaded", 1)


def test_gemini_adds_its_models_and_knows_its_limit_of_turns() -> None:
    models = (
        '{"a":{"tokens":{"prompt":5,"candidates":2,"thoughts":1}},"b":{"tokens":{"prompt":7,"candidates":1}}}'
    )
    report = read("gemini", '{"session_id":"g","response":"x",', f'"stats":{{"models":{models}}}}}')
    assert (report.tokens_in, report.tokens_out, report.session, report.cost) == (12, 4, "g", None)
    assert report.used == (Usage("a", 5, 3), Usage("b", 7, 1))
    error = '{"session_id":"g","error":{"type":"%s","message":"m","code":%d}}'
    assert read("gemini", error % ("FatalTurnLimitedError", 53), exit_code=53).ending is Ending.TURN_LIMIT
    assert read("gemini", error % ("FatalAuthenticationError", 41), exit_code=41).kind == "auth"


def test_opencode_adds_its_steps_exactly_and_an_error_counts_only_at_the_end() -> None:
    tokens = '"tokens":{"input":1,"output":2,"reasoning":3}'
    step = '{"type":"step_finish","sessionID":"ses","part":{"cost":%s,' + tokens + "}}"
    data = '"data":{"message":"x","isRetryable":true,"statusCode":429}'
    error = '{"type":"error","error":{"name":"APIError",' + data + "}}"
    report = read("opencode", step % "0.1", error, step % "0.2")
    assert (report.ending, report.cost, report.tokens_in, report.tokens_out) == (
        Ending.OK,
        Decimal("0.3"),
        2,
        10,
    )
    assert read("opencode", step % "0.1", error).kind == "rate_limit"


def test_an_error_line_of_goose_outranks_its_status() -> None:
    done = (
        '{"messages":[],"metadata":{"status":"completed","input_tokens":3,"output_tokens":1,"cost_usd":0.5}}'
    )
    assert read("goose", done).cost == Decimal("0.5")
    assert read("goose", '{"type":"error","error":"Rate limit exceeded: 429"}', done).kind == "usage_limit"
    piece = (
        '{"type":"message","message":{"id":"m1","role":"assistant","content":[{"type":"text","text":"%s"}]}}'
    )
    tool = piece.replace('"type":"text","text":"%s"', '"type":"toolRequest"')
    report = read("goose", piece % "Looking", tool, piece % "All", piece % " done.", done)
    assert report.summary == "All done."  # it comes in pieces


def test_aider_prints_a_running_total_and_shortened_counts() -> None:
    first = "Tokens: 12k sent, 3k cache hit, 678 received. Cost: $0.05 message, $0.05 session."
    report = read("aider", first, "Tokens: 1,000 sent, 22 received. Cost: $0.01 message, $1,000.06 session.")
    assert (report.cost, report.tokens_in, report.tokens_out, report.turns) == (
        Decimal("1000.06"),
        13000,
        700,
        2,
    )


def test_ollama_counts_in_its_last_chunk() -> None:
    report = read("ollama", '{"response":"x"}', '{"done":true,"prompt_eval_count":5,"eval_count":7}')
    assert (report.tokens_in, report.tokens_out, report.cost) == (5, 7, None)


GARBAGE = ("", "{", "{}\n" * 3, "[1]", '{"type":7,"usage":[],"error":3}', "\x00\ud800{")


@each("program", READERS)
def test_garbage_is_no_result_and_no_cost(program: str) -> None:
    for output in GARBAGE:
        report = read_report(program, output, 1, NOON, UTC)
        assert report.cost is None and report.ending in (Ending.NO_RESULT, Ending.ERROR), output


def test_the_readers_are_those_that_settings_may_name() -> None:
    assert tuple(READERS) == PROGRAMS


# ------------------------------------------------------------------ samples


def rows() -> Iterator[dict[str, str]]:
    with (SAMPLES / "expected.tsv").open() as file:
        yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


def answers(row: dict[str, str]) -> dict[str, str]:
    """What our readers say of this sample, as the table writes it."""
    text = (SAMPLES / row["file"]).read_bytes().decode()
    now, zone = datetime.fromisoformat(row["now"]).timestamp(), ZoneInfo(row["machine_zone"])
    if row["program"] == "http":
        report, refusal = AgentReport(), find_refusal(read_answer(text), now, zone)
    else:
        report = read_report(row["program"], text, int(row["exit_code"]), now, zone)
        refusal = report.refusal
    counts = (("tokens_in", report.tokens_in), ("tokens_out", report.tokens_out), ("turns", report.turns))
    moment = datetime.fromtimestamp(refusal.retry_at, UTC) if refusal and refusal.retry_at else None
    return {
        "kind": refusal.kind if refusal else report.kind,
        "cost_usd": "" if report.cost is None else f"{report.cost:f}",
        **{name: "" if count is None else str(count) for name, count in counts},
        "session": report.session,
        "retry_at": f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else "",
        "wait": "yes" if refusal and refusal.wait else "no",
    }


@pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the samples are not part of the project; the tests above are"
)
def test_every_sample_is_read_as_its_table_says() -> None:
    wrong = []
    for row in rows():
        for column, said in answers(row).items():
            if row[column] not in ("-", said) and not (column == "wait" and not row[column]):
                wrong.append((row["file"], column, row[column], said))
    assert not wrong


def test_an_answer_that_gemini_streams_in_pieces_is_read_whole():
    lines = (
        {"type": "message", "role": "assistant", "content": "I look", "delta": True},
        {"type": "tool_use", "tool_name": "ls"},
        {"type": "message", "role": "assistant", "content": "two ", "delta": True},
        {"type": "message", "role": "assistant", "content": "files", "delta": True},
        {"type": "result", "status": "success", "stats": {"input_tokens": 200, "output_tokens": 50}},
    )
    report = read_report("gemini", "\n".join(map(json.dumps, lines)), 0, 0.0, UTC)
    assert (report.summary, report.tokens_in) == ("two files", 200)
