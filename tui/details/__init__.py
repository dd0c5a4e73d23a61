"""The details of one task."""
