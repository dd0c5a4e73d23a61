"""Asking a language model: both protocols, whole and in pieces, and every way in which it goes wrong."""

import asyncio
import json
import ssl
import subprocess
from email.utils import formatdate
from pathlib import Path
from time import thread_time

import pytest

from scheduler.core.task import Llm
from scheduler.errors import TaskFailed
from scheduler.handlers.net import llm as llm_module
from scheduler.handlers.net.llm import Answer, ask, endpoint, not_counted
from scheduler.handlers.net.llm_answer import LIMIT, WORDS
from tests.each import each
from tests.handlers.net.llm_server import Act, hangs_up, serving, silent, streamed, whole, without_end

DREAM = "The harbour folded its boats like paper and every clock was late."
PARTS = [f"{word} " for word in DREAM.split()]
SAMPLES = Path(__file__).parents[3] / "../shared/data/llm"
KEY = "sk-hunter2"


def ollama(*words: str, done: bool = True, **last: object) -> list[str]:
    """Lines of /api/chat."""
    lines = [json.dumps({"model": "m", "message": {"content": word}, "done": False}) for word in words]
    if done:
        lines.append(json.dumps({"model": "m", "message": {"content": ""}, "done": True, **last}))
    return [f"{line}\n" for line in lines]


def openai(*words: str, reason: str | None = "stop", done: bool = True) -> list[str]:
    """Events of /v1/chat/completions."""
    chunks = [{"choices": [{"index": 0, "delta": {"content": w}, "finish_reason": None}]} for w in words]
    if reason:
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    return [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + (["data: [DONE]\n\n"] if done else [])


async def answer_of(*acts: Act, api: str = "ollama", timeout: float = 5.0, **more) -> Answer:
    async with serving(*acts) as server:
        llm, steps = Llm(server.url, "m", api, KEY, timeout), more.get("steps", lambda *_: None)
        return await ask(llm, "dream", steps, more.get("used", not_counted))


async def failure_of(*acts: Act, **more) -> str:
    """What is said when asking fails, from the server's place on."""
    with pytest.raises(TaskFailed) as failed:
        await answer_of(*acts, **more)
    text = str(failed.value)
    assert "\n" not in text and KEY not in text and len(text) <= llm_module.WIDTH
    assert text.startswith("m at http://127.0.0.1:")
    return text.split(" ", 3)[3]


# ------------------------------------------------------------------ answers


@each("api", ["ollama", "openai"])
async def test_an_answer_in_pieces(api):
    pieces = ollama(*PARTS) if api == "ollama" else openai(*PARTS)
    found = await answer_of(streamed(*pieces), api=api)
    assert (found.text, found.model, found.cut) == (DREAM, "m", False)
    assert 0 <= found.duration < 5


@each(
    "body",
    [
        {"response": DREAM, "done": True},
        {"message": {"role": "assistant", "content": DREAM}, "done": True, "done_reason": "stop"},
        {"choices": [{"message": {"content": DREAM}, "finish_reason": "stop"}]},
        {"choices": [{"text": DREAM, "finish_reason": "stop"}]},
        {"choices": [{"message": {"content": [{"type": "text", "text": DREAM}]}, "finish_reason": "stop"}]},
    ],
)
@each("indent", [None, 2])
async def test_a_whole_answer_although_pieces_were_asked_for(body, indent):
    assert (await answer_of(whole(json.dumps(body, indent=indent)))).text == DREAM


async def test_pieces_that_are_cut_anywhere():
    text = "Die Möwe 🕊 trägt\u2028Uhren"  # a line separator within a text ends no line
    lines = "".join(ollama(*text)) + "".join(openai("x"))
    raw = json.loads(json.dumps(lines)).encode()
    found = await answer_of(streamed(*(raw[at : at + 1] for at in range(len(raw)))))
    assert found.text == text
    unescaped = json.dumps({"response": text, "done": True}, ensure_ascii=False).encode()
    assert (await answer_of(streamed(*(unescaped[at : at + 3] for at in range(0, 99, 3))))).text == text


async def test_halves_of_a_character_meet():
    halves = ['{"response": "\\ud83d", "done": false}\n', '{"response": "\\ude00\\ud83d", "done": true}\n']
    assert (await answer_of(streamed(*halves))).text == "😀\ufffd"


async def test_what_is_asked(monkeypatch):
    for api, path in (("ollama", "/api/chat"), ("openai", "/v1/chat/completions")):
        async with serving(streamed(*ollama("x"))) as server:
            await ask(Llm(server.url, "m", api, KEY), "half a \ud83d", lambda *_: None, not_counted)
        ((first, headers, body),) = server.asked
        assert first == f"POST {path} HTTP/1.1"
        assert headers["authorization"] == f"bearer {KEY}".lower()
        assert headers["accept-encoding"] == "identity"
        counting = {"stream_options": {"include_usage": True}} if api == "openai" else {}
        question = [{"role": "user", "content": "half a ?"}]
        assert body == {"model": "m", "messages": question, "stream": True, **counting}
    async with serving(streamed('{"response": "x", "done": true}')) as server:
        await ask(Llm(f"{server.url}/api/generate", "m"), "dream", lambda *_: None, not_counted)
    ((first, headers, body),) = server.asked
    assert (first, body["prompt"]) == ("POST /api/generate HTTP/1.1", "dream")
    assert "authorization" not in headers


# ------------------------------------------------------------------ tokens

COUNT = {"usage": {"prompt_tokens": 12, "completion_tokens": 34}}


async def used_by(*acts: Act, **more) -> list[tuple[str, int | None, int | None]]:
    counted = []
    await answer_of(*acts, used=lambda *count: counted.append(count), **more)
    return counted


async def test_tokens_are_those_that_the_server_counts_before_or_after_the_last_word():
    last = ollama(*PARTS, prompt_eval_count=12, eval_count=34)
    assert await used_by(streamed(*last)) == [("m", 12, 34)]
    end = f"data: {json.dumps({'choices': [], **COUNT})}\n\n"
    assert await used_by(streamed(*openai(*PARTS, done=False), end), api="openai") == [("m", 12, 34)]
    one = json.dumps({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], **COUNT})
    assert await used_by(whole(one), api="openai") == [("m", 12, 34)]


async def test_a_server_that_counts_nothing_makes_no_one_wait_long_and_nothing_known(monkeypatch):
    assert await used_by(streamed(*openai(*PARTS)), api="openai") == [("m", None, None)]
    monkeypatch.setattr(llm_module, "COUNTING", 0.01)
    silent_end = streamed(*openai(*PARTS, done=False), end="silent")
    assert await used_by(silent_end, api="openai") == [("m", None, None)]
    assert await used_by(streamed(*openai(*PARTS), end="cut"), api="openai") == [("m", None, None)]


async def test_a_server_that_refuses_to_count_is_asked_without():
    refuses = whole('{"detail": "extra inputs: stream_options"}', "422 Unprocessable Entity")
    async with serving(refuses, streamed(*openai("x"))) as server:
        await ask(Llm(server.url, "m", "openai"), "dream", lambda *_: None, not_counted)
    assert ["stream_options" in body for _, _, body in server.asked] == [True, False]
    assert "extra inputs" in await failure_of(refuses, api="openai")


async def test_an_answer_that_breaks_off_used_tokens_that_were_not_counted():
    counted = []
    await failure_of(streamed(*ollama("x", done=False)), used=lambda *count: counted.append(count))
    assert counted == [("m", None, None)]
    await failure_of(whole("no", "401 Unauthorized"), used=lambda *count: counted.append(count))
    assert len(counted) == 1


def test_where_it_is_asked():
    for api, url, expected in (
        ("ollama", "http://x", "http://x/api/chat"),
        ("ollama", "http://x/api", "http://x/api/chat"),
        ("ollama", "http://x/api/generate", "http://x/api/generate"),
        ("openai", "http://x", "http://x/v1/chat/completions"),
        ("openai", "http://x/v1", "http://x/v1/chat/completions"),
        ("openai", "http://x/api/v1beta", "http://x/api/v1beta/chat/completions"),
        ("openai", "http://x/v1/chat/completions", "http://x/v1/chat/completions"),
    ):
        assert endpoint(Llm(url, "m", api)) == expected, (api, url, expected)


async def test_thoughts_are_no_part_of_the_answer():
    thinking = {"message": {"content": "", "thinking": "hm"}, "done": False}
    steps = []
    found = await answer_of(
        streamed(f"{json.dumps(thinking)}\n", *ollama("<think>a\nplan</think>\n", "Sea.")),
        steps=lambda *step: steps.append(step),
    )
    assert found.text == "Sea."
    assert steps[0] == (0, 0, "waits for m") and (0, 0, "thinking") in steps
    assert steps[-1][2] == "26 characters" or steps[-1][2].endswith("characters")


async def test_an_answer_that_was_stopped_says_so():
    assert await answer_of(streamed(*ollama("The", " sea", done_reason="length"))) == Answer(
        "The sea", "m", pytest.approx(0, abs=5), cut=True
    )


async def test_comments_counts_and_the_rest_of_the_stream_do_no_harm():
    noise = [": ping\n\n", "event: message\nid: 3\nretry: 5\n", 'data: {"type": "ping"}\r\n\r\n', "\ufeff\n"]
    usage = 'data: {"choices": [], "usage": {"total_tokens": 3}}\n\n'
    found = await answer_of(
        streamed(*noise, usage, *openai("The", " sea"), usage, "nonsense\n"), api="openai"
    )
    assert found.text == "The sea"


async def test_a_last_line_need_not_be_ended():
    assert (await answer_of(streamed("".join(ollama("x")).rstrip("\n")))).text == "x"
    assert (await answer_of(streamed(*openai("x", done=False), end="cut"), api="openai")).text == "x"
    assert (await answer_of(streamed(*openai("x", reason=None)), api="openai")).text == "x"


async def test_a_model_that_talks_in_circles_is_stopped():
    line = json.dumps({"response": "again and again ", "done": False}).encode() + b"\n"
    found = await answer_of(without_end(line))
    assert found.cut and WORDS - 20 < len(found.text) <= WORDS


# ------------------------------------------------------------------ failures, each steps apart


async def test_a_stream_that_breaks_off():
    pieces = ollama("The", " sea", done=False)
    expected = "broke off in the middle of its answer, after 7 characters"
    assert await failure_of(streamed(*pieces)) == expected
    assert await failure_of(streamed(*pieces, '{"model": "m", "mess')) == expected
    assert (
        await failure_of(streamed(*openai("The", " sea", reason=None, done=False)), api="openai") == expected
    )


async def test_a_line_that_is_cut():
    pieces = ollama("The", " sea", done=False)
    assert await failure_of(streamed(*pieces, end="cut")) == (
        "was cut off in the middle of its answer, after 7 characters"
    )
    assert (await failure_of(hangs_up)).startswith("hung up without an answer: ")


async def test_an_error_inside_the_stream():
    error = '{"error": "unexpected EOF"}'
    expected = "reported an error, after 3 characters: unexpected EOF"
    assert await failure_of(streamed(*ollama("The", done=False), f"{error}\n")) == expected
    assert await failure_of(streamed(*ollama("The", done=False), error)) == expected
    inside = 'event: error\ndata: {"error": {"message": "unexpected EOF", "code": 500}}\n\n'
    assert (
        await failure_of(streamed(*openai("The", reason=None, done=False), inside), api="openai") == expected
    )
    assert await failure_of(whole(error)) == "reported an error: unexpected EOF"
    groq = 'data: {"choices": [], "x_groq": {"id": "r", "error": "unexpected EOF"}}\n\ndata: [DONE]\n\n'
    assert await failure_of(streamed(*openai("The", reason=None, done=False), groq), api="openai") == expected
    assert await failure_of(whole(f"[{error}]")) == "reported an error: unexpected EOF"
    assert await failure_of(whole('{"error_code": 110, "error_msg": "no"}')) == "reported an error: no"


async def test_nonsense_in_the_stream():
    assert await failure_of(streamed(*ollama("The", done=False), "<html>\n")) == (
        "sent invalid JSON, after 3 characters"
    )


@each("body", ["<html>hello</html>", "", "{", "[" * 100_000, b"\xff\xfe{}"])
async def test_no_json_at_all(body):
    text = await failure_of(whole(body))
    assert text in (
        "sent invalid JSON; correct url or api in [llm]",
        "answers, but not as a language model does; correct url or api in [llm]",
    )


@each("body", ["{}", "[]", '"x"', '{"models": []}', '{"version": "0.5.1"}'])
async def test_somebody_else_answers(body):
    expected = "answers, but not as a language model does; correct url or api in [llm]"
    assert await failure_of(whole(body)) == expected


async def test_an_answer_without_words():
    for body, expected in (
        ({"response": "", "done": True}, "sent no text"),
        ({"response": " \n", "done": True}, "sent no text"),
        ({"response": "<think>hm", "done": True}, "sent only its thoughts"),
        ({"response": "", "done": True, "done_reason": "load"}, "was only loaded, and sent no text"),
        ({"response": "", "done": True, "done_reason": "length"}, "had no room left for an answer"),
        ({"message": None, "done": False}, "ended without an answer"),
        ({"choices": [{"message": {"content": None}, "finish_reason": "tool_calls"}]}, "asked for a tool"),
        ({"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}]}, "had its answer"),
        (
            {"choices": [{"message": {}, "finish_reason": "content_filter: SAFETY"}]},
            "had its answer withheld",
        ),
        ({"choices": [{"message": {"refusal": "I cannot."}, "finish_reason": "stop"}]}, "refused: I cannot."),
        ({"choices": [3]}, "answers, but not as"),
        ({"choices": [{"message": 3}]}, "ended without an answer"),
    ):
        assert (await failure_of(whole(json.dumps(body)))).startswith(expected), (body, expected)


async def test_silence_before_and_within_the_answer():
    assert await failure_of(silent, timeout=0.2) == "sent nothing for 0.2s"
    assert await failure_of(streamed(end="silent"), timeout=0.2) == "sent nothing for 0.2s"
    pieces = ollama("The", " sea", done=False)
    assert await failure_of(streamed(*pieces, end="silent"), timeout=0.2) == (
        "fell silent for 0.2s, after 7 characters"
    )


async def test_a_refusal_in_the_servers_words():
    for status, body, expected in (
        ("400 Bad Request", '{"error": "invalid"}', "answered HTTP 400: invalid"),
        ("400 Bad Request", '[{"error": {"code": 400, "message": "Odd."}}]', "answered HTTP 400: Odd."),
        ("401 Unauthorized", '{"error": {"message": "No."}}', "answered HTTP 401: No.; correct key in [llm]"),
        ("404 Not Found", '{"error": "m not found"}', "answered HTTP 404: m not found; correct model or url"),
        ("500 Internal Server Error", "out of\n\x1b[31m memory", "answered HTTP 500: out of [31m memory"),
        ("502 Bad Gateway", "<html>nginx</html>", "answered HTTP 502: Bad Gateway"),
        ("500 Internal Server Error", "", "answered HTTP 500: Internal Server Error"),
        ("500 Internal Server Error", "x" * 200_000, "answered HTTP 500: xxx"),
    ):
        assert (await failure_of(whole(body, status))).startswith(expected), (status, body, expected)


async def test_a_redirect_is_not_followed():
    text = await failure_of(whole("", "307 Temporary Redirect", Location="http://127.0.0.1:1/"))
    assert text == "has moved (HTTP 307); correct url in [llm]"


async def test_a_server_that_quotes_the_key_does_not_make_us_show_it():
    text = await failure_of(whole(json.dumps({"error": f"bad key {KEY}"}), "401 Unauthorized"))
    assert text == "answered HTTP 401: bad key ***; correct key in [llm]"
    edge = "x" * (llm_module.WIDTH - 45) + KEY
    assert "sk-" not in await failure_of(whole(json.dumps({"error": edge}), "500 x"))


BUSY = ('{"error": "slow down"}', "429 Too Many Requests")


async def test_a_busy_server_is_asked_again_when_it_says():
    steps = []
    good = streamed(*ollama("x"))
    acts = (whole(*BUSY, Retry_After="0"), whole(*BUSY, Retry_After="0.1"), good)
    assert (await answer_of(*acts, steps=lambda *step: steps.append(step))).text == "x"
    assert [text for _, _, text in steps if "busy" in text] == ["busy, asks again in 1s"] * 2
    date = whole('{"error": "full"}', "503 Service Unavailable", Retry_After=formatdate(0, usegmt=True))
    assert (await answer_of(date, good)).text == "x"


async def test_a_server_that_stays_busy_is_left_alone():
    text = await failure_of(whole(*BUSY, Retry_After="0"))
    assert text == "is busy, asked 3 times: HTTP 429: slow down"
    later = await failure_of(whole(*BUSY, Retry_After="7200"))
    assert later == "is busy, asked once: HTTP 429: slow down; rate limited for 2h"


async def test_without_a_word_on_how_long_the_wait_doubles(monkeypatch):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    monkeypatch.setattr(llm_module, "sleep", sleep)
    await failure_of(whole(*BUSY))
    assert waits == [2, 4]


async def test_no_server_there():
    async with serving(silent) as server:
        url = server.url
    with pytest.raises(
        TaskFailed,
        match=r"^m at http://127\.0\.0\.1:\d+ cannot be reached: connection refused|.*connect call failed",
    ):
        await ask(Llm(url, "m"), "x", lambda *_: None, not_counted)
    with pytest.raises(TaskFailed, match="cannot be reached: "):
        await ask(Llm("http://nowhere.invalid", "m"), "x", lambda *_: None, not_counted)


async def test_an_answer_without_end_is_given_up():
    line = json.dumps({"message": {"thinking": "x" * 5000}, "done": False}).encode() + b"\n"
    assert await failure_of(without_end(line)) == f"sent more than {LIMIT >> 20} MiB"
    assert await failure_of(without_end(b"x" * 1000)) == f"sent more than {LIMIT >> 20} MiB"


async def test_what_grows_when_unpacked_is_not_unpacked():
    import gzip

    packed = gzip.compress(json.dumps({"response": "x" * 10_000_000, "done": True}).encode())
    assert "invalid JSON" in await failure_of(whole(packed, Content_Encoding="gzip"))


@pytest.mark.needs("openssl")
async def test_a_certificate_of_an_unknown_authority(tmp_path):
    tls = certificate(tmp_path)
    async with serving(silent, tls=tls) as server:
        with pytest.raises(TaskFailed, match=r"its certificate is not accepted: self.signed certificate"):
            await ask(Llm(server.url, "m"), "x", lambda *_: None, not_counted)
    assert server.asked == []


def certificate(folder: Path) -> ssl.SSLContext:
    files = [str(folder / name) for name in ("cert.pem", "key.pem")]
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    argv = ["openssl", *made.split(), "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*argv, "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


async def test_the_loop_goes_on_whatever_comes():
    big = json.dumps({"response": "x" * (LIMIT - 100), "done": True})
    line = json.dumps({"response": "again and again ", "done": False}).encode() + b"\n"
    gaps = [0.0]  # seconds of this thread's work: a busy machine may take the processor away

    async def beat():
        while True:
            before = thread_time()
            await asyncio.sleep(0)
            gaps.append(thread_time() - before)

    beating = asyncio.create_task(beat())
    assert (await answer_of(whole(big))).cut
    assert (await answer_of(without_end(line))).cut
    beating.cancel()
    assert max(gaps) < 0.2


async def test_cancelling_ends_the_call():
    async with serving(streamed(*ollama("x", done=False), end="silent")) as server:
        begun = asyncio.Event()
        call = asyncio.create_task(ask(Llm(server.url, "m"), "x", lambda *_: begun.set(), not_counted))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


# ------------------------------------------------------------------ recorded answers


def samples() -> list[Path]:
    return sorted(path for path in SAMPLES.glob("*/*") if path.is_file())


# What each is, unless it is a whole answer with words: failed, or words that must be in it.
EXPECTED = {
    "chat_inline_think_tags": DREAM,
    "chat_nostream_thinking": DREAM,
    "chat_stream": DREAM,
    "generate_length_stop": "The harbour folded",
    "generate_nostream": DREAM,
    "generate_stream": DREAM,
    "generate_stream_error_midway": "!reported an error, after 3 characters: an error was encountered",
    "generate_stream_truncated": "!broke off in the middle of its answer, after 3 characters",
    "openai_chat": DREAM,
    "openai_chat_empty_content_toolcall": "!asked for a tool instead of answering",
    "openai_chat_stream": DREAM,
    "error_400": "!answered HTTP 400: invalid character 'x'",
    "error_404_model": "!answered HTTP 404: model 'llama3.2:3b' not found; correct model or url",
    "error_500_oom": "!answered HTTP 500: model requires more system memory",
    "openai_error_401": "!answered HTTP 401: Incorrect API key provided.; correct key in [llm]",
    "openai_error_429": "!is busy, asked 3 times: HTTP 429: Rate limit reached for requests",
    "openai_error_context_length": "!answered HTTP 400: This model's maximum context length is 8192 tokens.",
    "errors__01_error_messages": "!answered HTTP 500: the model failed to generate a response",
    "errors__02_errors_that_occur_while_streaming": "!reported an error, after 9 characters",
    "streaming__02_disabling_streaming": "That's a fantastic question!",
    "chat_completion_02": "Hello! How can I assist you today?",
    "chat_completion_06": "Hello! How can I assist you today?",
    "chat_completion_04.ndjson": "Hello",
    "chat_completion_05": "!asked for a tool instead of answering",
    "chat_completion_01": "!answers, but not as a language model does",
    "chat_completion_09": "!answers, but not as a language model does",
    "api__18_response": "!asked for a tool instead of answering",
    "api__31_response": "!answers, but not as a language model does",
    "api__44_response": "!answers, but not as a language model does",
    "api__46_response": "!answers, but not as a language model does",
    "api__01_response": "!broke off in the middle of its answer, after 3 characters",
    "api__02_response": "!sent no text",
    "api__12_response": "!was unloaded, and sent no text",
    "api__26_response": "!was only loaded, and sent no text",
}
STATUS = {"400": "400 x", "404": "404 x", "500": "500 x", "401": "401 x", "429": "429 x", "context": "400 x"}
STATUS["errors__01"] = "500 x"


def replay(path: Path) -> Act:
    content = path.read_bytes()
    if path.suffix in (".sse", ".ndjson"):
        return streamed(*content.splitlines(keepends=True))
    if ".ndjson" in path.stem:  # printed without the frame of its events
        return streamed(*(b"data: %s\n\n" % line for line in content.splitlines() if line.startswith(b"{")))
    status = next((value for part, value in STATUS.items() if part in path.stem), "200 OK")
    return whole(content, status, Retry_After="0")


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the folder of recorded answers is not there")
@each("api", ["ollama", "openai"])
async def test_recorded_answers(api):
    steps = {}
    for path in samples():
        try:
            steps[path.stem] = (await answer_of(replay(path), api=api)).text
        except TaskFailed as error:
            steps[path.stem] = "!" + str(error).split(" ", 3)[3]
    assert len(steps) == 59
    wrong = {stem: steps[stem] for stem, expected in EXPECTED.items() if not steps[stem].startswith(expected)}
    assert wrong == {}
    assert "Traceback" not in "".join(steps.values()) and all(
        "\n" not in t for t in steps.values() if t[0] == "!"
    )
