"""Runs that need money or a provider that is available."""
