"""What a fleet follows while it runs: settings, homes, owners; when it looks, and what counts."""
