"""The task `price_monitor`."""
