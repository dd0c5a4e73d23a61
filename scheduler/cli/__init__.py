"""The command line: reads arguments, prints text or JSON for a shell."""
