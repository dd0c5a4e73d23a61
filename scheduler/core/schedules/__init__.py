"""When tasks run: intervals, cron expressions, hours, and what follows for the next days."""
