"""The built-in tasks, one folder each; `net/` is what several of them share."""
