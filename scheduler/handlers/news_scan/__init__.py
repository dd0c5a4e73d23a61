"""The task `news_scan`."""
