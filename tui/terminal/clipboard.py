"""Text for the clipboard: what is pasted into a shell must not be able to do anything there."""

from tui.common.text import clean

LONGEST = 64 * 1024  # characters; many terminals take no more


def copyable(text: str) -> str:
    """The lines of `text`, each cleaned."""
    return "\n".join(clean(line.expandtabs()) for line in text[:LONGEST].splitlines())
