"""Commands that set citizens up: their homes, settings and services, backups, leaving cron, sharing."""
