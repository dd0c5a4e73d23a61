"""What users of language models saw elsewhere: half an answer, an error or thoughts, taken for the answer."""

import json

import pytest

from scheduler.core.task import Context, Llm
from scheduler.errors import TaskFailed
from scheduler.handlers.dream_generate.handler import dream_generate
from scheduler.handlers.dream_generate.options import Options
from scheduler.handlers.net.llm_thoughts import without_thoughts
from tests.each import each
from tests.handlers.net.llm_server import Act, serving, streamed, whole

DONE = "data: [DONE]\n\n"
SEA = "The sea folded."


def event(message: object) -> str:
    return f"data: {json.dumps(message)}\n\n"


def part(text: object, why: object = None, index: int = 0, **more: object) -> str:
    return event({"choices": [{"index": index, "delta": {"content": text}, "finish_reason": why, **more}]})


def answer(content: object, why: object = "stop", **more: object) -> Act:
    message = {"role": "assistant", "content": content, **more}
    return whole(json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": why}]}))


async def dreamt(home, act: Act) -> str:
    """The text that is stored as a dream."""
    home.mkdir(exist_ok=True)
    async with serving(act) as server:
        ctx = Context("opus", home, "dream_generate", Options(), llm=Llm(server.url, "m", "openai", "", 5.0))
        await dream_generate(ctx)
    return messages(home)[-1]["content"]


async def failed(home, act: Act) -> str:
    """Why there is no dream; and there is none."""
    with pytest.raises(TaskFailed) as failure:
        await dreamt(home, act)
    assert [each["role"] for each in messages(home)] == ["user"]
    return str(failure.value)


def messages(home) -> list[dict]:
    return json.loads((home / "contexts" / "dreams.json").read_text())["messages"]


# ------------------------------------------------------------------ the end


@each(
    "reason",
    [
        *("abort", "error", "ERROR", "cancelled", "insufficient_system_resource", "safety", "max_time"),
        *("something new", {"type": "abort", "message": "out of memory"}, 3),
    ],
)
async def test_an_answer_that_the_server_gave_up_is_no_dream(home, reason):
    """vllm 57082 and 57089: an aborted stream ends with finish_reason "abort" and [DONE], like a good one."""
    said = await failed(home, streamed(part("The sea"), part("", reason), DONE))
    name = str(reason["type"] if isinstance(reason, dict) else reason).lower()
    assert f"reported an error, after 7 characters: finish reason {name}" in said
    assert f"finish reason {name}" in await failed(home, answer("The sea", reason))


async def test_what_a_filter_withheld_is_no_dream_although_half_of_it_came(home):
    said = await failed(home, streamed(part("The sea"), part("", "content_filter"), DONE))
    assert "had its answer withheld by a content filter" in said


@each("reason", ["tool_calls", "function_call"])
async def test_words_before_a_wish_for_a_tool_are_no_dream(home, reason):
    said = await failed(home, answer("Let me look that up.", reason, tool_calls=[{"id": "1"}]))
    assert "asked for a tool instead of answering" in said


@each(
    "reason",
    [
        *("stop", "STOP", "eos_token", "stop_sequence", "end_turn", "COMPLETE"),
        *("end_of_turn", "FINISH_REASON_STOP"),
    ],
)
async def test_a_whole_answer_under_any_name(home, reason):
    assert await dreamt(home, streamed(part(SEA), part("", reason), DONE)) == SEA


async def test_a_reason_that_is_none_ends_no_answer(home):
    """Some servers write "null" as a text with each piece."""
    assert await dreamt(home, streamed(part("The sea ", "null"), part("folded.", "stop"), DONE)) == SEA


@each("reason", ["length", "max_tokens", "MAX_TOKENS", "model_length"])
async def test_an_answer_that_was_stopped_says_so_under_any_name(home, reason):
    await dreamt(home, streamed(part(SEA), part("", reason), DONE))
    assert messages(home)[-1]["cut"] is True


async def test_a_server_that_never_gives_a_reason_ends_its_stream(home):
    assert await dreamt(home, streamed(part(SEA), DONE)) == SEA
    assert "broke off" in await failed(home / "2", streamed(part(SEA)))
    assert "broke off" in await failed(home / "3", answer(SEA, None))


# ------------------------------------------------------------------ errors


@each(
    "error",
    [
        {"object": "error", "message": "CUDA out of memory", "type": "InternalServerError", "code": 500},
        {"type": "error", "message": "CUDA out of memory"},
        {"status": "error", "reason": "CUDA out of memory"},
        {"detail": "CUDA out of memory"},
        {"detail": [{"loc": ["body"], "msg": "CUDA out of memory"}]},
        {"errors": [{"message": "CUDA out of memory"}]},
        {"error": True, "message": "CUDA out of memory"},
        {"error": {"error": {"message": "CUDA out of memory"}}},
        {"error_message": "CUDA out of memory"},
        {"message": "CUDA out of memory", "code": 500},
        {"choices": [{"index": 0, "delta": {}, "error": {"message": "CUDA out of memory"}}]},
        {"fail": "CUDA out of memory"},  # an unknown answer, and no good end comes after it
    ],
)
async def test_an_error_within_the_stream_is_one_under_any_key(home, error):
    """cherry-studio 16079: the message is skipped as unknown, and [DONE] completes what came before it."""
    said = await failed(home, streamed(part("The sea"), event(error), DONE))
    assert "reported an error, after 7 characters: " in said and "CUDA out of memory" in said


@each(
    "line",
    [
        'error: {"code":500,"message":"context shift is disabled"}\n\n',
        "error: context shift is disabled\n\n",
        'event: error\ndata: {"text": "context shift is disabled"}\n\n',
        "event: error\ndata: context shift is disabled\n\n",
    ],
)
async def test_an_error_in_a_field_of_its_own_is_told_in_the_servers_words(home, line):
    said = await failed(home, streamed(part("The sea"), line))
    assert "reported an error, after 7 characters: " in said and "context shift is disabled" in said


async def test_a_message_of_an_unknown_kind_spoils_no_answer_that_ends_well(home):
    noise = [event({"type": "ping"}), event({"queue": 3}), event({"choices": [], "usage": {"n": 1}})]
    assert await dreamt(home, streamed(*noise, part(SEA), *noise, part("", "stop"), DONE)) == SEA


# ------------------------------------------------------------------ which text


async def test_of_several_answers_the_first_is_the_dream(home):
    stream = [
        part("The "),
        part("Clocks", index=1),
        part("", "abort", index=1),
        part("sea folded."),
        part("", "stop"),
    ]
    assert await dreamt(home, streamed(*stream, DONE)) == SEA


@each(
    "content",
    [
        [{"type": "text", "text": "The sea "}, {"type": "text", "text": "folded."}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": SEA}],
        [{"type": "reasoning", "text": "hm"}, {"type": "output_text", "text": SEA}],
        [{"type": "text", "text": {"value": SEA}}],
        ["The sea ", "folded."],
        {"type": "text", "text": SEA},
    ],
)
async def test_content_in_parts(home, content):
    assert await dreamt(home, answer(content)) == SEA


async def test_parts_without_text(home):
    assert "sent only its thoughts" in await failed(home, answer([{"type": "thinking", "thinking": "hm"}]))
    assert "refused: No." in await failed(home / "2", answer([{"type": "refusal", "refusal": "No."}]))


@each(
    "text",
    [
        "Okay, the user wants a dream. Sea, then clocks.\n</think>\n\nThe sea folded.",
        "<think>hm</think>The sea folded.",
        "<think>\n\n</think>\n\nThe sea folded.",
        '<think duration="3">hm</think>The sea folded.',
        "<THINK>hm</THINK>The sea folded.",
        "<think/>The sea folded.",
        "<think>a <think>b</think> c</think>The sea folded.",
        "<think>a <reasoning>b</reasoning> c</think>The sea folded.",
        "<thinking>hm</thinking>\nThe sea <think>or lake?</think>folded.",
        "The sea folded.<think>was that good",
        "<reasoning>hm</reasoning>The sea folded.",
        "hm</reasoning>The sea folded.",
        "<thought>hm</thought>The sea folded.",
        "<seed:think>hm</seed:think>The sea folded.",
        "[THINK]hm[/THINK]The sea folded.",
        "◁think▷hm◁/think▷The sea folded.",
        "<|begin_of_thought|>hm<|end_of_thought|>The sea folded.",
        "<|START_THINKING|>hm<|END_THINKING|>The sea folded.",
        "<|channel>thought\nhm<channel|>The sea folded.",
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>The sea folded.",
        "<|channel|>analysis<|message|>hm<|end|>"
        "<|start|>assistant<|channel|>commentary to=a.b <|constrain|>json<|message|>{}<|call|>"
        "<|start|>assistant<|channel|>final <|constrain|>text<|message|>The sea folded.<|return|>",
        "hm<|end|><|start|>assistant<|channel|>final<|message|>The sea folded.<|return|>",
        "analysisThe user wants a dream.assistantfinalThe sea folded.",
        "<antThinking>hm</antThinking>The sea folded.",
        "<minimax:think>hm</minimax:think>The sea folded.",
        "<inner_monologue>hm</inner_monologue>The sea folded.",
        "<|thinking|>hm<|/thinking|>The sea folded.",
        "<unused94>thought\nhm<unused95>The sea folded.",
        "&lt;think&gt;hm&lt;/think&gt;The sea folded.",
        "```thinking\nhm\n```\nThe sea folded.",
        '<details type="reasoning" done="true"><summary>Thought</summary>hm</details>The sea folded.',
        "<think>hm</think><answer>The sea folded.</answer>",
        "<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>The sea folded.<|END_RESPONSE|>",
        "<|im_start|>assistant\nThe sea folded.<|im_end|>",
        "The sea folded.<|eot_id|>",
        "The sea folded.</s>",
    ],
)
async def test_thoughts_are_no_part_of_the_dream_in_any_dress(home, text):
    """open-webui 9808, DeepSeek-R1 352 and 506, llama.cpp 11861: the prompt has the <think>."""
    assert without_thoughts(text) == SEA
    assert await dreamt(home, answer(text)) == SEA


@each("text", ["<think>hm", "hm</think> ", "<|channel|>analysis<|message|>The sea", "[THINK]hm"])
async def test_thoughts_alone_are_no_dream(home, text):
    assert "sent only its thoughts" in await failed(home, answer(text))


@each(
    "text",
    [
        *("I think <b>so</b>.", "analysis of the sea", "a < b > c", "The final word.", "</b>x"),
        *("The <answer>42</answer> is known.", "```python\nx\n```", "<details>more</details>"),
    ],
)
def test_what_only_looks_like_thoughts_stays(text):
    assert without_thoughts(text) == text


# ------------------------------------------------------------------ busy


@each("status", ["403 Forbidden", "418 Teapot", "500 Error", "529 Overloaded"])
async def test_a_server_that_says_when_to_come_back_is_heard_under_any_status(home, status):
    busy = whole('{"error": "slow down"}', status, Retry_After="7200")
    assert "is busy, asked once: HTTP " in await failed(home, busy)
    (home / "2").mkdir()
    async with serving(whole("", status, Retry_After="0.01"), answer(SEA)) as server:
        ctx = Context(
            "opus", home / "2", "dream_generate", Options(), llm=Llm(server.url, "m", "openai", "", 5.0)
        )
        await dream_generate(ctx)
    assert len(server.asked) == 2


async def test_a_header_that_is_not_http_is_said(home):
    async def act(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nX-Powered by nothing\r\n\r\n{}")

    assert "does not answer: its header is not HTTP" in await failed(home, act)
