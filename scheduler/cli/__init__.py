"""The command line: arguments in, text or JSON for a shell out."""
