"""The task `heartbeat`."""
