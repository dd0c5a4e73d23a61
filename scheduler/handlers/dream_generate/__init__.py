"""The task `dream_generate`."""
