"""The orders that panels can be put in; each is taken once, when asked for."""

from collections.abc import Callable
from enum import StrEnum

from scheduler.core.views import Snapshot

Key = tuple[float, str]


class Order(StrEnum):
    NAME = "name"
    FAILING = "failing first"
    NEXT = "next due first"

    @property
    def next(self) -> "Order":
        """The one that follows when the person asks for another."""
        orders = list(Order)
        return orders[(orders.index(self) + 1) % len(orders)]


def key(order: Order) -> Callable[[str, Snapshot | None], Key]:
    """A sort key of a citizen and what is known of it."""
    return _KEYS[order]


def _failing(citizen: str, snapshot: Snapshot | None) -> Key:
    return -sum(task.error is not None for task in snapshot.tasks) if snapshot else 0, citizen


def _next(citizen: str, snapshot: Snapshot | None) -> Key:
    dues = (task.due for task in snapshot.tasks if task.due is not None) if snapshot else iter(())
    return min(dues, default=float("inf")), citizen


_KEYS: dict[Order, Callable[[str, Snapshot | None], Key]] = {
    Order.NAME: lambda citizen, _: (0.0, citizen),
    Order.FAILING: _failing,
    Order.NEXT: _next,
}
