"""Whole commands: --status and migrate."""
