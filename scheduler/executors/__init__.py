"""Ways to execute a run: a coroutine, a thread, a process of its own, a command."""
