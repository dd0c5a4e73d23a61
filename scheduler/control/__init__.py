"""Watching and steering citizens, across threads and processes."""
