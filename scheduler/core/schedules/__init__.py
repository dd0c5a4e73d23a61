"""When tasks run: intervals and cron expressions."""
