"""Alerts and pings for finished runs and stalled loops."""
