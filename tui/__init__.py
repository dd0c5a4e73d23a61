"""The monitor of citizens in a terminal; the scheduler never imports it."""
