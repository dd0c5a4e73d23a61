"""When tasks run: intervals, cron expressions, active hours, and forecasts."""
