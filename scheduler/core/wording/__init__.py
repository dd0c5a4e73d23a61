"""The words for snapshots, definitions and times, on screens and in text."""
