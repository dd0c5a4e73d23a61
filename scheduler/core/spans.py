"""How spans of time are written: those that tick, and those that stand; six cells at most."""

import math


def elapsed(seconds: float) -> str:
    """Time gone by, in whole units, rounded down: `03:12`, `1h28m`, `2d03h`."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    if minutes < 60:
        return f"{minutes:02d}:{rest:02d}"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h" if days < 100 else f"{days}d"


def took(seconds: float) -> str:
    """How long something took, rounded down: `170ms`, `1.4s`, `47s`, then as `elapsed`."""
    thousandths = math.floor(round(max(0.0, seconds) * 1000, 3))  # 0.29 s are not 289 ms
    if thousandths < 1000:
        return f"{thousandths}ms" if thousandths else "<1ms"
    if thousandths < 10_000:
        return f"{thousandths // 100 / 10:.1f}s"
    return f"{thousandths // 1000}s" if thousandths < 60_000 else elapsed(seconds)
