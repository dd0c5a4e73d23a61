"""The keys that do something right now, in the order in which they were written down."""

from textual.binding import ActiveBinding, Binding
from textual.dom import DOMNode
from textual.keys import format_key
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


def key_of(node: DOMNode, name: str, usual: str) -> str:
    """The key that has this name now, as the screen writes it; the usual one where nobody has moved it."""
    keys = node.app._keymap.get(name)  # Textual tells the moved keys of a binding nowhere else
    return min((format_key(key) for key in keys.split(",")), key=len) if keys else usual
