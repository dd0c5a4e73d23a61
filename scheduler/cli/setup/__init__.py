"""Commands that set citizens up: homes, settings, services, backups, moving from cron, sharing."""
