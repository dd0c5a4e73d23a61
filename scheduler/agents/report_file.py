"""The file EXPERIENCE_REPORT, in which a run may report its cost as one JSON object."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from scheduler.agents.documents import decoded, money, whole, words
from scheduler.agents.report import AgentReport, Ending
from scheduler.core.costs import Usage
from scheduler.system.files import read_file

LIMIT = 64 << 10  # bytes


class BadReport(ValueError):
    """The file is not valid; the text is the reason, in one line."""


def read_report_file(path: Path) -> AgentReport | None:
    """The report that the run wrote, None if it wrote nothing; raises BadReport."""
    try:
        content = read_file(path, only_ours=True, follow=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadReport(f"the report {path.name} is not read: {error.strerror or error}") from error
    if not content.strip():
        return None
    if len(content) > LIMIT:
        raise BadReport(f"the report {path.name} is longer than {LIMIT >> 10} KiB; write one JSON object")
    document = decoded(content)
    if document is None:
        raise BadReport(f'the report {path.name} is not a JSON object; write {{"cost_usd": 0.12}}')
    return _report(document)


def _report(document: dict[str, Any]) -> AgentReport:
    sent, made = whole(document.get("tokens_in")), whole(document.get("tokens_out"))
    report = AgentReport(
        Ending.OK,
        None,
        sent,
        made,
        whole(document.get("turns")),
        words(document.get("session")),
        summary=words(document.get("summary")),
        used=(Usage(words(document.get("model")), sent, made),),
    )
    if document.get("cost_usd") is None:
        return report
    cost = money(document["cost_usd"])
    if document.get("currency", "USD") != "USD":
        raise BadReport("the report is in another currency; write cost_usd in US dollars, and no currency")
    if cost is None:
        raise BadReport("cost_usd in the report is no amount; write dollars as a number from 0 on")
    return replace(report, cost=cost)
