"""A wake with a command and nothing else, in a home that v2 wrote: its files stay as they were."""

import json
from pathlib import Path
from typing import Any

from scheduler.cli.main import run
from scheduler.cli.v2_flags import core

DATA = Path(__file__).parents[2] / "data" / "v2.json"
OLD = {
    "metadata.json": {"last_wake": "2024-01-15T17:00:00+00:00", "wake_count": 7, "mood": "calm"},
    "wake_log.json": {"wakes": [{"wake": 7, "time": "2024-01-15T17:00:00+00:00"}]},
    "background_tasks.json": json.loads(DATA.read_text()),
}
SETTINGS = (
    'root = "{root}"\n[citizens.opus.wake]\ncommand = ["sh", "-c", "cat > letter.json; echo good morning"]\n'
)


def test_it_works_as_before_and_its_files_stay_as_they_were(tmp_path: Path, capsys: Any) -> None:
    home, config = tmp_path / "opus", tmp_path / "main.toml"
    home.mkdir()
    config.write_text(SETTINGS.format(root=tmp_path))
    for name, content in OLD.items():
        (home / name).write_text(json.dumps(content))
    for _ in range(2):
        assert run(core, ["--citizen", "opus", "--wake", "--no-background", "--config", str(config)]) == 0
    new = {name: json.loads((home / name).read_text()) for name in (*OLD, "letter.json")}
    assert new["metadata.json"] == {
        **{"mood": "calm", "wake_count": 9},
        "last_wake": new["wake_log.json"]["wakes"][-1]["time"],
    }
    first, *later = new["wake_log.json"]["wakes"]
    assert first == OLD["wake_log.json"]["wakes"][0]
    assert [(each["wake"], each["outcome"], each["text"]) for each in later] == [
        (8, "ok", "good morning"),
        (9, "ok", "good morning"),
    ]
    assert all(each.keys() == {"wake", "time", "outcome", "text"} for each in later)
    assert new["letter.json"].keys() == {"citizen", "wake", "why", "results", "still_running", "queue"}
    for kept in ("last_run", "run_counts"):
        old = OLD["background_tasks.json"].get(kept, {})
        assert {name: new["background_tasks.json"][kept].get(name) for name in old} == old
    assert not (home / ".experience" / "spending.jsonl").exists(), "no cost was asked for"


def test_its_status_has_a_section_of_its_own_and_tasks_are_printed_as_ever(
    tmp_path: Path, capsys: Any
) -> None:
    home, config = tmp_path / "opus", tmp_path / "main.toml"
    home.mkdir()
    (home / "background_tasks.json").write_text(DATA.read_text())
    config.write_text(f'root = "{tmp_path}"\n')
    run(core, ["--citizen", "opus", "--status", "--config", str(config)])
    without = capsys.readouterr().out
    config.write_text(SETTINGS.format(root=tmp_path))
    run(core, ["--citizen", "opus", "--status", "--config", str(config)])
    tasks, _, wake = capsys.readouterr().out.partition("\n=== WAKE ===\n")
    assert tasks == without
    assert wake == "\n  ○ wake: never ran, next in now (0 runs)\n"
