"""A make-believe fleet as plain data: who is in it, and in what state each task is."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from scheduler.core.schedule import Every
from scheduler.core.state import Failure, TaskState
from scheduler.core.task import Call, NotSetUp, Outcome, Task
from scheduler.system.process_info import Running

OURS = 1  # the process that all runs of the demo claim to be in


def nothing(context: object) -> None:
    """The work of a task whose runs are made up."""


@dataclass(frozen=True, slots=True)
class Chore:
    """A built-in task: how often, how long it may take, how long it does take here, what it says."""

    name: str
    every: float
    timeout: float
    lasts: float
    says: str


CHORES = (
    Chore("heartbeat", 300, 30, 1.2, "disk 61 % full, load 0.4, 29 peers awake"),
    Chore("price_monitor", 900, 60, 9.0, "BTC 61,240 (+0.4 %), ETH 3,012 (-1.1 %)"),
    Chore("email_check", 3600, 120, 25.0, "3 unread, none urgent"),
    Chore("news_scan", 14400, 300, 48.0, "12 new items from 4 feeds"),
    Chore("dream_generate", 21600, 600, 140.0, "queued a prompt from 6 memories"),
    Chore("memory_summary", 21600, 300, 75.0, "2 days summarised"),
    Chore("offsite_backup", 86400, 600, 210.0, "184 MB in 3 files, verified"),
)

NAMES = (
    "aria", "atlas", "basil", "cedar", "clio", "dawn", "echo", "ember", "fern", "flint",
    "gaia", "hazel", "iris", "juno", "kestrel", "lark", "luna", "mira", "nova", "onyx",
    "opus", "pax", "quill", "rune", "sage", "terra", "umbra", "vesper", "wren", "zephyr",
)  # fmt: skip

FAILURES = {
    ("opus", "news_scan"): ("Connection timeout: feeds.example.org:443", 2),
    ("dawn", "email_check"): ("IMAP login refused: [AUTHENTICATIONFAILED] invalid credentials", 5),
    ("atlas", "offsite_backup"): ("restic: repository is already locked by PID 812 on vault", 1),
    ("iris", "news_scan"): (
        "\x1b[31mHTTP 502\x1b[0m [/red] \u202egnp.exe\u202c 日本語 ☕️\tbad\nsecond line",
        3,
    ),
    ("zephyr", "price_monitor"): ("429 Too Many Requests, retry after 120 s", 1),
}
RUNNING = {("opus", "email_check"): 4.0, ("aria", "dream_generate"): 95.0, ("fern", "offsite_backup"): 130.0}
PAUSED = {("opus", "offsite_backup"), ("clio", "price_monitor"), ("clio", "news_scan")}
NOT_SET_UP = {
    ("opus", "dream_generate"): "llm",
    ("mira", "email_check"): "host",
    ("basil", "offsite_backup"): "to",
    ("cedar", "news_scan"): "feeds",
}
WARNINGS = {
    ("mira", "heartbeat"): "disk 91 % full: /home",
    ("lark", "news_scan"): "1 of 4 feeds did not answer",
}


def tasks(citizen: str) -> Iterator[tuple[Task, TaskState]]:
    """The tasks of this citizen and their states, with times relative to now (0)."""
    chance = random.Random(citizen)
    for priority, chore in enumerate(CHORES, 1):
        key = (citizen, chore.name)
        missing = NOT_SET_UP.get(key)
        work = NotSetUp(missing, _advice(*key, missing)) if missing else Call(nothing)
        every = Every(chore.every)
        task = Task(chore.name, every, work, timeout=chore.timeout, priority=priority, description=chore.says)
        yield task, TaskState() if missing else _state(key, chore, chance)


def _advice(citizen: str, task: str, missing: str) -> str:
    return f'# in /srv/citizens/experience.toml\n[citizens.{citizen}.tasks.{task}]\n{missing} = "..."'


def _state(key: tuple[str, str], chore: Chore, chance: random.Random) -> TaskState:
    last = -chance.uniform(0.02, 0.98) * chore.every
    lasted = chore.lasts * chance.uniform(0.8, 1.2)
    state = TaskState(
        last, int(chance.uniform(3, 90 * 86400 / chore.every)), first_seen=last, last_success=last
    )
    state = replace(state, last_duration=lasted, outcome=Outcome.OK, text=chore.says)
    if key in FAILURES:
        text, again = FAILURES[key]
        state = replace(state, error=Failure(last, text), failures_in_a_row=again, outcome=Outcome.FAILED)
        state = replace(state, last_success=last - again * chore.every)
    if key in WARNINGS:
        state = replace(state, outcome=Outcome.WARNING, text=WARNINGS[key])
    if key in RUNNING:
        state = state.started(Running(OURS, 0.0, -RUNNING[key]))
    return state.put_on_hold(-600) if key in PAUSED else state


def moved(state: TaskState, now: float) -> TaskState:
    """The state with its relative times made absolute."""
    running = state.running and replace(state.running, since=state.running.since + now)
    error = state.error and replace(state.error, time=state.error.time + now)
    return replace(
        state,
        last_run=_at(state.last_run, now),
        first_seen=_at(state.first_seen, now),
        last_success=_at(state.last_success, now),
        paused_at=_at(state.paused_at, now),
        error=error,
        running=running,
    )


def _at(when: float | None, now: float) -> float | None:
    return None if when is None else when + now
