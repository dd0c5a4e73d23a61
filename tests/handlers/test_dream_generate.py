"""dream_generate: a prompt of recent memory, queued; with a language model the dream beside it."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from scheduler.core.task import Context, Llm
from scheduler.errors import TaskFailed
from scheduler.handlers.dream_generate.handler import dream_generate
from scheduler.handlers.dream_generate.options import Options
from scheduler.handlers.dream_generate.prompt import INSTRUCTIONS, prompt
from tests.each import each
from tests.fakes import NOON
from tests.handlers.net.llm_server import Act, serving, streamed, whole

LINES = [
    '{"message": {"content": "The harbour"}, "done": false}\n',
    '{"message": {"content": " folded."}, "done": true}\n',
]
KEY = "sk-hunter2"


@pytest.fixture(autouse=True)
def _noon(monkeypatch):
    monkeypatch.setattr("scheduler.system.clock.SystemClock.now", lambda: NOON)  # 2 March 2026


def write(home: Path, name: str, content: object) -> Path:
    file = home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def remember(home: Path) -> None:
    write(home, "memory/daily/2026/03/01.json", {"summary": "A day of harvest.\n\n- Wrote to Ada"})
    write(home, "memory/raw/2026/03/01.json", [{"type": "note", "time": NOON - 86400, "text": "Old news"}])
    today = [
        {"type": "wake_complete", "time": "2026-03-02T08:00:00+00:00", "content": "Read the queue"},
        {"type": "wake_complete", "time": "2026-03-02T08:10:00+00:00", "content": "Read the queue"},
        {"type": "wake_complete", "time": "2026-03-02T08:20:00+00:00"},
        {"type": "task_failed", "time": "2026-03-02T09:00:00+00:00", "content": "news_scan: timeout"},
    ]
    write(home, "memory/raw/2026/03/02.json", today)
    write(home, "tasks/queue/1.json", {"type": "email", "description": "Answer\n Ada"})
    write(home, "tasks/queue/2.json", "no json")


def dreams(home: Path) -> dict:
    return json.loads((home / "contexts" / "dreams.json").read_text())


def context(home: Path, model: Llm | None = None, steps=None, **options) -> Context:
    report = (lambda step: steps.append(step.text)) if steps is not None else (lambda step: None)
    return Context(
        "opus", home, "dream_generate", Options.model_construct(**options), report=report, llm=model
    )


async def with_model(home: Path, *acts: Act, **more) -> str:
    async with serving(*acts) as server:
        return await dream_generate(context(home, Llm(server.url, "m", "ollama", KEY), **more))


async def test_without_a_model_a_prompt_of_recent_memory_is_queued(home):
    remember(home)
    assert await dream_generate(context(home)) == "queued a prompt from 6 memories"
    (message,) = dreams(home)["messages"]
    assert message == {
        "role": "user",
        "content": f"{INSTRUCTIONS}\n\n"
        "What the day was like:\nA day of harvest.\n- Wrote to Ada\n\n"
        "What happened lately:\n- 12:00 Old news\n- 08:00 Read the queue\n- 09:00 news_scan: timeout\n\n"
        "What waits for you:\n- Answer Ada",
        "time": "2026-03-02T12:00:00+00:00",
        "type": "dream_prompt",
    }
    assert (home / "contexts/dreams.json").stat().st_mode & 0o777 == 0o600


async def test_it_works_without_a_single_memory_and_without_options(home):
    assert await dream_generate(Context("opus", home, "dream_generate")) == "queued a prompt from no memories"
    assert "You remember nothing yet" in dreams(home)["messages"][0]["content"]


async def test_the_same_prompt_waits_only_once(home):
    remember(home)
    await dream_generate(context(home))
    assert await dream_generate(context(home)) == "nothing new; the last prompt still waits"
    assert len(dreams(home)["messages"]) == 1


async def test_with_a_model_the_dream_is_kept_with_model_and_duration(home):
    remember(home)
    steps: list[str] = []
    result = await with_model(home, streamed(*LINES), steps=steps)
    assert result.startswith("dreamt 3 words from 6 memories in ") and result.endswith("s")
    asked, dream = dreams(home)["messages"]
    assert asked["type"] == "dream_prompt"
    assert dream["content"] == "The harbour folded."
    assert (dream["role"], dream["type"], dream["model"]) == ("assistant", "dream", "m")
    assert 0 <= dream["duration"] < 5
    assert steps[0] == "waits for m" and steps[-1] == "19 characters"
    assert KEY not in (home / "contexts/dreams.json").read_text()


async def test_the_model_can_be_left_out(home):
    llm = Llm("http://127.0.0.1:1", "m")
    assert (await dream_generate(context(home, llm, llm=False))).startswith("queued a prompt")


async def test_a_dream_that_was_cut_says_so(home):
    line = '{"response": "The", "done": true, "done_reason": "length"}'
    assert (await with_model(home, whole(line))).endswith("s, cut short")
    assert dreams(home)["messages"][1]["cut"] is True


async def test_a_model_that_fails_leaves_one_prompt(home):
    remember(home)
    for _ in range(3):
        with pytest.raises(
            TaskFailed, match=r"HTTP 500: no memory; the prompt waits in contexts/dreams\.json$"
        ):
            await with_model(home, whole('{"error": "no memory"}', "500 x"))
    assert [each["type"] for each in dreams(home)["messages"]] == ["dream_prompt"]
    await with_model(home, streamed(*LINES))
    assert [each["type"] for each in dreams(home)["messages"]] == ["dream_prompt", "dream"]


async def test_what_else_is_in_the_file_stays_and_the_oldest_go(home):
    old = [{"role": "user", "content": str(number)} for number in range(30)]
    write(home, "contexts/dreams.json", {"messages": old, "mood": "calm"})
    await dream_generate(context(home, keep=10))
    found = dreams(home)
    assert found["mood"] == "calm"
    assert [each["content"] for each in found["messages"][:-1]] == [str(n) for n in range(21, 30)]


async def test_a_year_of_dreams_is_bounded(home):
    for number in range(40):
        write(home, "tasks/queue/1.json", {"description": f"work {number}"})
        await dream_generate(context(home, keep=16))
    assert len(dreams(home)["messages"]) == 16


@each("content", ["half a fi", "[]", '{"messages": 3}', "[" * 100_000])
async def test_a_file_that_cannot_be_understood_is_set_aside(home, content):
    write(home, "contexts/dreams.json", content)
    await dream_generate(context(home))
    assert len(dreams(home)["messages"]) == 1
    (aside,) = (home / "contexts").glob("dreams.json.corrupt-*")
    assert aside.read_text() == content


async def test_a_pipe_or_a_file_without_end_is_set_aside_and_a_folder_fails(home):
    file = home / "contexts" / "dreams.json"
    file.parent.mkdir()
    os.mkfifo(file)
    await dream_generate(context(home))
    os.truncate(file, 65 << 20)
    await dream_generate(context(home))
    assert len(list(file.parent.glob("dreams.json.corrupt-*"))) == 2 and len(dreams(home)["messages"]) == 1
    file.unlink()
    file.mkdir()
    with pytest.raises(TaskFailed, match=r"dreams.json cannot be written: Is a directory; .*move it away"):
        await dream_generate(context(home))
    shutil.rmtree(file.parent)
    file.parent.write_text("")
    with pytest.raises(TaskFailed, match=r"cannot be written: (Not a directory|File exists)"):
        await dream_generate(context(home))


def test_memory_that_cannot_be_read_is_left_out(home):
    for name in ("memory/daily/2026/03/01.json", "memory/raw/2026/03/02.json", "tasks/queue/1.json"):
        (home / name).parent.mkdir(parents=True)
        os.mkfifo(home / name)
    write(home, "memory/daily/2026/02/28.json", {"summary": "The day before"})
    write(home, "memory/daily/2026/02/27.json", "[]")
    assert prompt(home, NOON, 20).memories == 1


def test_the_prompt_stays_short_whatever_there_is(home):
    write(home, "memory/daily/2026/03/01.json", {"summary": "very long " * 10_000})
    events = [{"type": "note", "text": f"{number} {'x' * 5000}"} for number in range(4000)]
    write(home, "memory/raw/2026/03/02.json", events)
    for number in range(100):
        write(home, f"tasks/queue/{number:03}.json", {"description": "y" * 5000})
    write(home, "tasks/queue/000.json", "x" * (2 << 20))
    made = prompt(home, NOON, 20)
    assert len(made.text) < 8000
    assert made.memories == 1 + 20 + 9 + 1
    assert made.text.endswith("- and 90 more")


async def test_the_loop_goes_on_while_files_are_read(home):
    events = [{"type": "note", "text": f"{number} words of a day"} for number in range(5000)]
    write(home, "memory/raw/2026/03/02.json", events)
    loop, gaps = asyncio.get_running_loop(), [0.0]

    async def beat():
        while True:
            before = loop.time()
            await asyncio.sleep(0)
            gaps.append(loop.time() - before)

    beating = asyncio.create_task(beat())
    await with_model(home, streamed(*LINES))
    beating.cancel()
    assert max(gaps) < 0.2
