"""Runs that need something from outside: money, and a provider that is there."""
