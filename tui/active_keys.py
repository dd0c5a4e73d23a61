"""The keys that do something right now, in the order in which they were written down."""

from textual.binding import ActiveBinding, Binding
from textual.screen import Screen


def active_keys(screen: "Screen[object]") -> list[tuple[str, ActiveBinding]]:
    """Key and binding, those of what has the focus first; a key that was moved keeps its place."""
    focused = screen.focused
    nodes = [*(focused.ancestors_with_self if focused else screen.ancestors_with_self)]
    order: dict[str, int] = {}
    for node in nodes:
        for binding in type(node).BINDINGS:
            if isinstance(binding, Binding) and binding.id:
                order.setdefault(binding.id, len(order))
    active = screen.active_bindings.items()
    return sorted(active, key=lambda item: order.get(item[1].binding.id or "", len(order)))
