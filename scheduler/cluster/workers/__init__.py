"""Runs on workers: their rows, the queue that notifies workers, and both ends of a run."""
