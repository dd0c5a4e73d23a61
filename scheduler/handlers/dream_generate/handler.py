"""dream_generate: makes a prompt from recent memory and, if a language model is set, the dream itself."""

from asyncio import to_thread
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import iso
from scheduler.core.task import Context, Llm
from scheduler.errors import TaskFailed
from scheduler.handlers.dream_generate.options import Options
from scheduler.handlers.dream_generate.prompt import Prompt, prompt
from scheduler.handlers.home_files import task_fails
from scheduler.handlers.net.llm import ask
from scheduler.system.clock import SystemClock
from scheduler.system.files import quarantine, read_json_for_update, require_home, write_json

FILE = Path("contexts") / "dreams.json"

Message = Mapping[str, Any]


async def dream_generate(ctx: Context) -> str:
    """One line on what was queued or dreamt; a model that gives no dream leaves the prompt queued."""
    options = ctx.options or Options()
    made, new = await to_thread(_queued, ctx.home, options)
    if ctx.llm is None or not options.llm:
        return (
            f"queued a prompt from {_memories(made)}" if new else "nothing new; the last prompt still waits"
        )
    return await _dreamt(ctx, ctx.llm, made, options)


def _queued(home: Path, options: Options) -> tuple[Prompt, bool]:
    """The prompt, and whether it is new or the last one, which still waits."""
    now = SystemClock.now()
    made = prompt(home, now, options.events, options.instructions)
    return made, add(home, message("user", made.text, now, type="dream_prompt"), options.keep)


async def _dreamt(ctx: Context, llm: Llm, made: Prompt, options: Options) -> str:
    try:
        answer = await ask(llm, made.text, ctx.progress, ctx.used)
    except TaskFailed as error:
        raise TaskFailed(f"{error}; the prompt waits in {FILE}") from None
    more = {"type": "dream", "model": answer.model, "duration": answer.duration}
    if answer.cut:
        more["cut"] = True
    dream = message("assistant", answer.text, SystemClock.now(), **more)
    await to_thread(add, ctx.home, dream, options.keep)
    cut = ", cut short" if answer.cut else ""
    return f"dreamt {len(answer.text.split()):,} words from {_memories(made)} in {answer.duration:g}s{cut}"


def _memories(made: Prompt) -> str:
    return f"{made.memories or 'no'} {'memory' if made.memories == 1 else 'memories'}"


# ------------------------------------------------------------------ the file, the newest entry last


def message(role: str, content: str, at: float, **more: Any) -> Message:
    """An entry of the file, as v2's readers know it: role, content and more."""
    moment = iso(at, "seconds")
    return {"role": role, "content": content, "time": moment, **more}


def add(home: Path, new: Message, keep: int) -> bool:
    """Append `new` and drop all but the last `keep`; False if it is the last message already.

    A file without a list of messages is moved aside; raises TaskFailed if it cannot be written.
    """
    path = home / FILE
    with task_fails(path, "cannot be written; correct that, or move it away"):
        document = read_json_for_update(path)
        if not isinstance(document.get("messages", []), list):
            quarantine(path)
            document = {}
        messages = document.get("messages", [])
        if messages and _same(messages[-1], new):
            return False
        require_home(home)
        write_json(path, {**document, "messages": [*messages, new][-keep:]})
    return True


def _same(old: Any, new: Message) -> bool:
    return isinstance(old, dict) and all(old.get(name) == new[name] for name in ("role", "content"))
