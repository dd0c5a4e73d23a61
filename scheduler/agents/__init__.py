"""Reads the costs that agents' programs print, and the refusals of the services behind them."""

PROGRAMS = ("claude", "codex", "gemini", "opencode", "goose", "aider", "ollama")  # the keys of READERS
FILE = "file"  # instead of a program: the run writes its own report
