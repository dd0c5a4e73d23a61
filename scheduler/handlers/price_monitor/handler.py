"""price_monitor: writes prices to prices.jsonl, and work for the next wake after a large move."""

from asyncio import to_thread

from scheduler.core.schedules.schedule import iso
from scheduler.core.task import Context, Report
from scheduler.core.wording.text import first_few, with_problems
from scheduler.errors import TaskFailed
from scheduler.handlers.price_monitor.files import append, queue
from scheduler.handlers.price_monitor.moves import Move, Point, Tracks
from scheduler.handlers.price_monitor.options import Options
from scheduler.handlers.price_monitor.quotes import Quotes, quotes
from scheduler.system.clock import SystemClock


async def price_monitor(ctx: Context) -> str | Report:
    """The prices in one line; urgent after a move over the limit, a warning if a price is missing."""
    options, now = ctx.options or Options(), SystemClock.now()
    _check(options)
    tracks = await to_thread(Tracks, ctx.home)
    found = await quotes(options, tracks, now, ctx.progress)
    return await to_thread(_recorded, ctx, options, found, tracks, now)


def _check(options: Options) -> None:
    """Check the rules that concern several options."""
    if options.source != "json" and not options.pairs:
        raise TaskFailed("there are no pairs; add pairs to the settings of price_monitor")


def _recorded(ctx: Context, options: Options, found: Quotes, tracks: Tracks, now: float) -> str | Report:
    if found.prices:
        lines = [
            {"time": iso(now, "seconds"), "pair": pair, "price": price.text, "source": options.source}
            for pair, price in found.prices.items()
        ]
        append(ctx.home, lines)
    moves = _moves(ctx, options, found, tracks, now)
    tracks.save(now)
    return _summary(options, found, moves)


def _moves(
    ctx: Context, options: Options, found: Quotes, tracks: Tracks, now: float
) -> list[tuple[str, Move, bool]]:
    """The moves over the limit; each is queued once as work for the next wake."""
    moves = []
    for pair, price in found.prices.items():
        track = tracks.of(found.names[pair])
        move = track.add(Point(now, price), options.alert_window)
        if move and abs(move.percent) > options.alert_percent:
            moves.append((pair, move, queue(ctx.home, pair, options.source, move)))
            track.alerted()
    return moves


def _summary(options: Options, found: Quotes, moves: list[tuple[str, Move, bool]]) -> str | Report:
    problems = [f"{pair}: {problem}" for pair, problem in found.problems.items()]
    if not found.prices:
        raise TaskFailed(f"no price from {options.source}: {first_few(problems)}")
    prices = first_few([f"{pair} {price.text}" for pair, price in found.prices.items()], 5, ", ")
    parts = [f"{pair} {move}" for pair, move, _ in moves] or [prices]
    full = not all(queued for _, _, queued in moves)
    if full:
        parts.append("tasks/queue is full, so this is not in it; work it off")
    line = with_problems("; ".join(parts), problems)
    return Report(line, warning=bool(problems) or full, urgent=bool(moves)) if problems or moves else line
