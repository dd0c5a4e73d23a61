"""Runs that workers carry: their rows, the queue that knocks at workers, and both ends of a run."""
