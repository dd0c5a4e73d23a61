"""The task `offsite_backup`."""
