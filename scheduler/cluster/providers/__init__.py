"""Outages that machines share: which providers are away, for the runs of every machine."""
