"""memory_summary: sums up days, weeks and months in a few lines, in prose if a language model is set."""

from asyncio import to_thread
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from scheduler.core.task import Context, Llm, Report
from scheduler.core.wording.text import plural, with_problems
from scheduler.handlers.ages import believed_today
from scheduler.handlers.memory_summary.daily import Outcome, Progress, summarise_days
from scheduler.handlers.memory_summary.files import days_in
from scheduler.handlers.memory_summary.options import Options
from scheduler.handlers.memory_summary.prose import Prose, recent_days, recent_periods
from scheduler.handlers.memory_summary.pruning import prune_raw, prune_summaries
from scheduler.handlers.memory_summary.rollup import Period, roll_up
from scheduler.handlers.net.llm import Used, not_counted
from scheduler.system.clock import SystemClock


async def memory_summary(ctx: Context) -> str | Report:
    """One line on what was summarised; a warning names unreadable days, or why there is no prose."""
    options = ctx.options or Options()
    today = datetime.fromtimestamp(SystemClock.now(), UTC).date()
    llm = ctx.llm if options.llm else None
    return await summarise(ctx.home, today, ctx.progress, options, llm, ctx.used)


async def summarise(
    home: Path,
    today: date,
    progress: Progress,
    options: Options,
    llm: Llm | None = None,
    used: Used = not_counted,
) -> str | Report:
    """Bring all summaries up to date with the days before `today`; raises TaskFailed."""
    prose = Prose(home, llm, options.prose_time, progress, used)
    days = await to_thread(summarise_days, home, today, progress)
    await prose.of(recent_days(home, today))
    rolled = await to_thread(roll_up, home, today, _oldest(today, options))
    await prose.of(recent_periods(home, today))
    removed = await to_thread(_prune, home, today, options)
    problems = [day.problem for day in days if day.problem]
    text = _text(_summarised(days, rolled), prose.written, removed)
    return _with_warnings(text, problems, prose.problem)


def _before(today: date, kept: float) -> date:
    return today - timedelta(seconds=kept) if kept else date.min


def _oldest(today: date, options: Options) -> date:
    """The day from which summaries stay: no later than for raw days, else they would be written again."""
    return min(_before(today, options.keep_raw), _before(today, options.keep_summaries))


def _prune(home: Path, today: date, options: Options) -> int:
    raw, daily = (believed_today(today, days_in(home, kind)) for kind in ("raw", "daily"))
    removed = prune_raw(home, _before(raw, options.keep_raw))
    return removed + prune_summaries(home, _oldest(min(raw, daily), options))


def _summarised(days: Iterable[Outcome], rolled: Iterable[Period]) -> list[tuple[int, str]]:
    kinds = Counter(period.kind for period in rolled)
    summarised = sum(day.summarised for day in days)
    return [(summarised, "day"), (kinds["weekly"], "week"), (kinds["monthly"], "month")]


def _text(done: list[tuple[int, str]], in_prose: int, removed: int) -> str:
    texts = [plural(number, what) for number, what in done if number]
    all_but_last = ", ".join(texts[:-1])
    parts = [" and ".join(filter(None, (all_but_last, *texts[-1:]))) + " summarised"] if texts else []
    parts += [f"{in_prose} in prose"] if in_prose else []
    parts += [f"{plural(removed, 'old file')} removed"] if removed else []
    return ", ".join(parts) or "nothing new"


def _with_warnings(text: str, problems: list[str], no_prose: str) -> str | Report:
    text = with_problems(text, problems)
    if no_prose:
        text = f"{text}; no prose: {no_prose}"
    return Report(text, warning=True) if problems or no_prose else text
