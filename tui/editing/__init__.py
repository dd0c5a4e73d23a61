"""Settings changed from the screen: what is asked, and what then happens."""
