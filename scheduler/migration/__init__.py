"""Leaving cron: reading crontabs, planning each line, writing settings, undo."""
