"""The task `memory_summary`."""
