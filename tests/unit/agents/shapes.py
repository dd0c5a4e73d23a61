"""What programs print of one run, and what is to be read from it."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

UTC = ZoneInfo("UTC")
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()


def lines(*documents: dict[str, Any]) -> str:
    return "".join(json.dumps(document) + "\n" for document in documents)


def result(**given: Any) -> dict[str, Any]:
    plain = {"type": "result", "subtype": "success", "is_error": False, "result": "done", "session_id": "s1"}
    return {**plain, "num_turns": 1, "total_cost_usd": 0.25, **given}


@dataclass(frozen=True)
class Shape:
    program: str
    output: str
    kind: str
    exit_code: int = 1
    seconds: float | None = None  # until requests are taken again
    cost: str = ""
    tokens: tuple[int | None, int | None] = (None, None)
    turns: int | None = None
    session: str = ""


def failed(text: str, **given: Any) -> str:
    return lines(result(is_error=True, result=text, **given))


def event(status: str, resets_at: float) -> dict[str, Any]:
    return {"type": "rate_limit_event", "rate_limit_info": {"status": status, "resetsAt": int(resets_at)}}


STARTED = {"type": "thread.started", "thread_id": "t1"}
TURN = {"type": "turn.completed", "usage": {"input_tokens": 30, "cached_input_tokens": 9, "output_tokens": 4}}
RETRIED = {"type": "error", "message": "Reconnecting... 1/5 (stream disconnected before completion)"}


def step(reason: str = "stop", kind: str = "step_finish", **part: Any) -> dict[str, Any]:
    return {"type": kind, "sessionID": "ses", "part": {"reason": reason, **part}}


def open_error(name: str, **data: Any) -> dict[str, Any]:
    return {"type": "error", "sessionID": "ses", "error": {"name": name, "data": data}}


PAID = {"cost": 0.1, "tokens": {"input": 1, "output": 2, "reasoning": 3, "cache": {"read": 4, "write": 5}}}
MODELS = {
    "a": {"total_tokens": 9, "input_tokens": 5, "output_tokens": 2},
    "b": {"input_tokens": 1, "output_tokens": 1},
}
SENT = "Tokens: 4.1k sent, 3.2k cache write, 500 received."
PRICED = f"{SENT} Cost: $0.0042 request, $0.0042 session."
LIMITED = "litellm.RateLimitError: OpenAIException - too fast\nThe API provider has rate limited you."

STACK = "    at classify (file:///usr/lib/a.js:1:2)\n" * 99
UNKNOWN = {
    "status": "error",
    "error": {"type": "unknown", "message": "[API Error: An unknown error occurred.]"},
}
APOLOGY = "Ran into this error: %s.\n\nPlease retry if you think this is a transient or recoverable error."

SHAPES = (
    # The reason is in the text, and before the stack
    Shape(
        "gemini",
        "Error: TerminalQuotaError: You have exhausted your capacity. Your quota will reset after 1h.\n"
        + STACK
        + lines({"type": "result", **UNKNOWN}),
        "quota",
        seconds=3600,
    ),
    Shape(
        "gemini",
        "TerminalQuotaError: You exceeded your current quota.\n* Quota exceeded for metric: a/free_tier, "
        "limit: 20\nPlease retry in 34.8s.\n" + STACK + lines({"type": "result", **UNKNOWN}),
        "quota",
    ),
    Shape(
        "gemini",
        lines({"error": {"type": "MaxSessionTurnsError", "message": "Maximum session turns exceeded"}}),
        "turn_limit",
    ),
    Shape(
        "goose",
        lines(
            {
                "type": "message",
                "message": {"role": "assistant", "content": [{"type": "text", "text": APOLOGY % "429 Busy"}]},
            },
            {"type": "complete", "total_tokens": None},
        ),
        "rate_limit",
        0,
    ),
    # Claude Code
    Shape(
        "claude",
        lines(
            event("rejected", NOON + 60), result(subtype="error_during_execution", is_error=True, result="x")
        ),
        "usage_limit",
        seconds=60,
        cost="0.25",
        turns=1,
        session="s1",
    ),
    Shape(
        "claude",
        lines(event("rejected", NOON + 60), event("allowed", NOON + 99), result(is_error=True, result="x")),
        "error",
        cost="0.25",
        turns=1,
        session="s1",
    ),
    Shape(
        "claude",
        failed("API Error: Repeated 529 Overloaded errors", api_error_status=529),
        "overloaded",
        cost="0.25",
        turns=1,
        session="s1",
    ),
    Shape(
        "claude",
        failed("API Error: Request rejected (429) · this may be temporary"),
        "rate_limit",
        cost="0.25",
        turns=1,
        session="s1",
    ),
    Shape(
        "claude",
        failed("Server is temporarily limiting requests (not your usage limit)"),
        "rate_limit",
        cost="0.25",
        turns=1,
        session="s1",
    ),
    Shape(
        "claude", failed("You've hit your monthly spend limit"), "billing", cost="0.25", turns=1, session="s1"
    ),
    Shape(
        "claude",
        failed("hit your org's monthly spend limit · session limit resets 3:45pm"),
        "billing",
        seconds=3.75 * 3600,
        cost="0.25",
        turns=1,
        session="s1",
    ),
    Shape(
        "claude",
        failed("x", subtype="error_max_structured_output_retries"),
        "error",
        cost="0.25",
        turns=1,
        session="s1",
    ),
    Shape(
        "claude",
        lines(result(subtype="error_during_execution", result=None, errors=["Credit balance is too low"])),
        "billing",
        cost="0.25",
        turns=1,
        session="s1",
    ),
    Shape(
        "claude",
        lines(event("rejected", NOON + 60), result(session_id="s2")),
        "ok",
        0,
        cost="0.25",
        turns=1,
        session="s2",
    ),
    Shape(
        "claude",
        lines(event("rejected", NOON + 3600), {"type": "user", "session_id": "s1"}),
        "usage_limit",
        seconds=3600,
        session="s1",
    ),
    Shape(
        "claude",
        lines(event("rejected", NOON + 3600), {"type": "user", "session_id": "s1"}),
        "no_result",
        143,
        session="s1",
    ),
    Shape(
        "claude",
        lines(
            {
                "type": "assistant",
                "session_id": "s1",
                "error": "authentication_failed",
                "message": {"content": [{"type": "text", "text": "Invalid API key"}]},
            }
        ),
        "auth",
        session="s1",
    ),
    Shape("claude", "5-hour limit reached ∙ resets 2pm", "usage_limit", seconds=7200),
    Shape(
        "claude",
        "\x1b[31mWeekly limit reached · resets Dec 4, 12am (UTC)\x1b[0m\r\n",
        "usage_limit",
        seconds=2.5 * 86400,
    ),
    Shape("claude", "Traceback: KeyError", "no_result"),
    # Codex
    Shape(
        "codex",
        lines(STARTED, TURN, {"type": "turn.started"}),
        "no_result",
        143,
        tokens=(30, 4),
        turns=1,
        session="t1",
    ),
    Shape("codex", lines(STARTED, {"type": "turn.started"}, RETRIED), "no_result", session="t1"),
    Shape(
        "codex",
        lines(
            STARTED,
            RETRIED,
            {"type": "turn.failed", "error": {"message": "stream disconnected before completion"}},
        ),
        "network",
        turns=1,
        session="t1",
    ),
    Shape(
        "codex",
        lines(
            STARTED,
            {"type": "error", "message": "You've hit your usage limit. Try again at Dec 2nd, 2026 1:36 PM."},
        ),
        "usage_limit",
        seconds=86400 + 5760,
        session="t1",
    ),
    Shape(
        "codex",
        lines(
            STARTED,
            {"type": "turn.failed", "error": {"message": "Quota exceeded. Check your plan and billing."}},
        ),
        "billing",
        turns=1,
        session="t1",
    ),
    Shape(
        "codex",
        lines(STARTED, {"type": "turn.started"}, {"type": "turn.completed", "usage": None}, TURN),
        "ok",
        0,
        tokens=(30, 4),
        turns=2,
        session="t1",
    ),
    Shape(
        "codex",
        "ERROR: You've hit your usage limit. Upgrade to Plus or try again in 1 day 2 hours 3 minutes.\n",
        "usage_limit",
        seconds=86400 + 7380,
    ),
    # Gemini
    Shape(
        "gemini",
        lines(
            {"type": "init", "session_id": "g"},
            {"type": "error", "severity": "warning", "message": "loop"},
            {"type": "result", "status": "success", "stats": {"input_tokens": 6, "output_tokens": 3}},
        ),
        "ok",
        0,
        tokens=(6, 3),
        session="g",
    ),
    Shape(
        "gemini",
        lines(
            {"type": "init", "session_id": "g"},
            {"type": "result", "status": "success", "stats": {"models": MODELS}},
        ),
        "ok",
        0,
        tokens=(6, 3),
        session="g",
    ),
    Shape(
        "gemini",
        lines(
            {"type": "init", "session_id": "g"},
            {
                "type": "result",
                "status": "error",
                "error": {"type": "Error", "message": "quota will reset after 1h"},
                "stats": {},
            },
        ),
        "quota",
        seconds=3600,
        session="g",
    ),
    Shape(
        "gemini",
        lines({"type": "init", "session_id": "g"}, {"type": "message"}),
        "no_result",
        130,
        session="g",
    ),
    Shape("gemini", lines({"error": {"type": "Error", "message": "too much", "code": "429"}}), "rate_limit"),
    Shape("gemini", lines({"error": {"type": "Error", "message": "?", "code": 41}}), "auth", 41),
    Shape("gemini", "Please set an Auth method", "auth", 41),
    Shape("gemini", "Reached max session turns for this session.", "turn_limit", 53),
    Shape(
        "gemini",
        'Attempt 1 failed with status 429. Retrying\n[{\n  "error": {"code": 429}\n}]\n'
        + lines({"session_id": "g", "response": "x", "stats": {"models": {}}}),
        "ok",
        0,
        session="g",
    ),
    # OpenCode
    Shape(
        "opencode",
        lines(step(**PAID), {"type": "done", "sessionID": "ses"}),
        "ok",
        0,
        cost="0.1",
        tokens=(10, 5),
        turns=1,
        session="ses",
    ),
    Shape(
        "opencode",
        lines(step("tool-calls", **PAID), step(kind="step_start")),
        "no_result",
        143,
        cost="0.1",
        tokens=(10, 5),
        turns=1,
        session="ses",
    ),
    Shape(
        "opencode",
        lines(step("tool-calls", **PAID)),
        "no_result",
        143,
        cost="0.1",
        tokens=(10, 5),
        turns=1,
        session="ses",
    ),
    Shape(
        "opencode",
        lines(open_error("APIError", message="x"), step(**PAID)),
        "ok",
        1,
        cost="0.1",
        tokens=(10, 5),
        turns=1,
        session="ses",
    ),
    Shape("opencode", lines(open_error("ProviderAuthError", message="no key")), "auth", 0, session="ses"),
    Shape("opencode", lines(open_error("ContextOverflowError")), "context", 0, session="ses"),
    Shape(
        "opencode",
        lines(open_error("APIError", statusCode=429, responseHeaders={"Retry-After": "20"})),
        "rate_limit",
        0,
        seconds=20,
        session="ses",
    ),
    Shape(
        "opencode",
        lines(open_error("APIError", statusCode=429, responseBody='{"error":{"code":"insufficient_quota"}}')),
        "billing",
        0,
        session="ses",
    ),
    Shape(
        "opencode",
        lines(step(cost=0, tokens={"input": 1})),
        "ok",
        0,
        cost="0",
        tokens=(1, None),
        turns=1,
        session="ses",
    ),
    # Goose
    Shape(
        "goose",
        lines(
            {"type": "message", "metadata": {"x": 1}},
            {"type": "complete", "input_tokens": 3, "output_tokens": 1, "cost_usd": 0.5},
        ),
        "ok",
        0,
        cost="0.5",
        tokens=(3, 1),
    ),
    Shape(
        "goose",
        lines(
            {"type": "complete", "total_tokens": 4},
            {"type": "error", "error": "Rate limit exceeded: 429, try again in 2h 5m"},
        ),
        "usage_limit",
        0,
        seconds=7500,
    ),
    Shape("goose", lines({"type": "error", "error": {"message": "Credit balance is too low"}}), "billing", 0),
    Shape(
        "goose",
        json.dumps({"messages": [], "metadata": {"status": "failed", "cost_usd": None}}, indent=1),
        "error",
    ),
    Shape("goose", lines({"type": "message"}, {"type": "notification"}), "no_result", 143),
    Shape(
        "goose",
        "rate limit exceeded, retrying\n"
        + lines({"type": "complete", "input_tokens": 1, "output_tokens": 1}),
        "ok",
        0,
        tokens=(1, 1),
    ),
    Shape(
        "goose",
        lines({"type": "complete", "metadata": {"input_tokens": 2, "output_tokens": 1}}),
        "ok",
        0,
        tokens=(2, 1),
    ),
    Shape(
        "claude",
        "Invalid API key\n" + lines(result(is_error=True, result="", session_id="s1")),
        "auth",
        cost="0.25",
        turns=1,
        session="s1",
    ),
    # Aider
    Shape("aider", PRICED, "ok", 0, cost="0.0042", tokens=(4100, 500), turns=1),
    Shape("aider", f"{SENT}\nValueError: of a test", "ok", 0, tokens=(4100, 500), turns=1),
    Shape("aider", f"{SENT}\nNot logged in", "auth", 1, tokens=(4100, 500), turns=1),
    Shape("aider", SENT, "ok", 0, tokens=(4100, 500), turns=1),
    Shape(
        "aider",
        f"{LIMITED}\nRetrying in 1.0 seconds...\n{PRICED}",
        "ok",
        0,
        cost="0.0042",
        tokens=(4100, 500),
        turns=1,
    ),
    Shape("aider", f"{PRICED}\r\n{LIMITED}", "rate_limit", 0, cost="0.0042", tokens=(4100, 500), turns=1),
    Shape(
        "aider",
        "Tokens: 12,345 sent, 678\nreceived. Cost: $0.05 message, $1,000.05\nsession.",
        "ok",
        0,
        cost="1000.05",
        tokens=(12345, 678),
        turns=1,
    ),
    Shape("aider", "litellm.AuthenticationError: not able to authenticate you", "auth"),
    Shape("aider", "Unexpected error: litellm.RateLimitError: too fast", "rate_limit", 0),
    Shape("aider", "Model m/1 has hit a token limit!\nToken counts below are approximate.", "context", 0),
    # Ollama
    Shape(
        "ollama",
        lines({"done": True, "prompt_eval_count": 5, "eval_count": 7}, {"done": True, "eval_count": 1}),
        "ok",
        0,
        tokens=(5, 8),
    ),
    Shape("ollama", lines({"response": "x", "done": False}), "no_result", 143),
    Shape(
        "ollama",
        "Yes.\n\ntotal duration:  1.5s\nprompt eval count:    26 token(s)\neval count:   98 token(s)\n",
        "ok",
        0,
        tokens=(26, 98),
    ),
    Shape(
        "ollama",
        lines({"error": "server busy, please try again. maximum pending requests exceeded"}),
        "overloaded",
        1,
    ),
    Shape("ollama", lines({"error": "you have reached your hourly usage limit"}), "usage_limit", 1),
)
