"""The panels: where they lie, and the lines of each."""
