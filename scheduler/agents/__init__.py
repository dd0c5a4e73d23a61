"""What agents' programs print of their cost, and in which words the services behind them refuse."""

PROGRAMS = ("claude", "codex", "gemini", "opencode", "goose", "aider", "ollama")  # those that READERS knows
FILE = "file"  # no program: the run writes its report itself
