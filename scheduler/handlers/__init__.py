"""The built-in tasks, one folder each; several of them share `net/`."""
