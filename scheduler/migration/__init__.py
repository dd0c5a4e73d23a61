"""Moves lines from cron: reads crontabs, plans each line, writes settings, undoes."""
