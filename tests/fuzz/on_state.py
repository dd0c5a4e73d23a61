"""The reader of background_tasks.json: valid parts are kept, the rest is said, nothing is thrown."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from scheduler.core.planning import next_start, recovered, taken_up
from scheduler.core.schedules.schedule import Cron, Every
from scheduler.core.task import Task
from scheduler.storage.state_codec import decode
from scheduler.storage.state_file import StateFile
from tests.fuzz.bent import bent

DATA = Path(__file__).parents[1] / "data"
NOW = 1_782_000_000.0
SAMPLES = [file.read_bytes() for file in sorted(DATA.glob("*.json"))]
TOKENS = (
    b'"last_run": {',
    b'"tasks": {',
    b'"errors": {',
    b'"running": {"pid": 1, "born": 0, "since": 1}',
    b"-1.5",
    b"1e308",
    b'"retry_at": 1',
    b'"first_seen": 99999999999999',
    b'"outcome": "ok"',
    b'"text": "',
    b'"paused": true',
    b",",
    b":",
)
CASES = bent(SAMPLES, TOKENS)


def check(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "background_tasks.json"
        file.write_bytes(content)
        StateFile(Path(folder)).peek()
        held = StateFile(Path(folder))
        states, notes = held.load()
        assert all(isinstance(note, str) for note in notes)
        for name, state in states.items():
            _used(name, state)
        held.save(states, 1, durable=False)
        again, dropped = decode(file.read_text("utf-8"))
        assert dict(again.states) == dict(states)
        assert not dropped
        json.loads(file.read_text("utf-8"))


def _used(name, state) -> None:
    for schedule in (Every(300), Cron("*/5 * * * *")):
        task = Task(name, schedule, None)
        after = taken_up("opus", task, recovered(state, NOW, lambda running: False), NOW)
        next_start("opus", task, after, NOW, NOW)
