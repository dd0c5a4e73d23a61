"""Made-up citizens for `--demo`."""
