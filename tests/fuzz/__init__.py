"""Readers fed with bent files and lines: `python -m tests.fuzz settings --minutes 10`."""
