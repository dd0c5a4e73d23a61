"""Outages of the services that agents call, shared by all citizens of a root that name the service."""
