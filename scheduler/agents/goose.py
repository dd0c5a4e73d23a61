"""Goose: `goose run --output-format json`, or `stream-json`.

Status and exit code of older versions are wrong for failures of the provider: an `error` line outranks both;
aaif-goose/goose crates/goose-cli/src/session/mod.rs.
"""

from scheduler.agents.documents import at, documents, money, whole, words
from scheduler.agents.refusal import Failure
from scheduler.agents.report import AgentReport, Ending


def read(output: str) -> AgentReport:
    lines = documents(output)
    error = next((words(line.get("error")) for line in reversed(lines) if line.get("type") == "error"), None)
    whole_document = next((at(line, "metadata") for line in reversed(lines) if "metadata" in line), None)
    ended = whole_document or next((line for line in reversed(lines) if line.get("type") == "complete"), None)
    status = words(at(ended, "status"))
    failed = error is not None or status not in ("", "completed")
    ending = Ending.ERROR if failed else Ending.OK if ended is not None else Ending.NO_RESULT
    return AgentReport(
        ending,
        money(at(ended, "cost_usd")),
        whole(at(ended, "input_tokens")),
        whole(at(ended, "output_tokens")),
        failure=Failure(error or status),
    )
