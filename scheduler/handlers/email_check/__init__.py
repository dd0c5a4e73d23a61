"""The task `email_check`."""
