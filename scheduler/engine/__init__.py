"""The scheduler of one citizen: when a task runs, and how its run ends."""
