"""The scheduler of one citizen: when a task runs, and what its run becomes."""
