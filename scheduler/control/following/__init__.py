"""What a fleet follows while it runs (settings, homes, owners), how often, and which changes count."""
