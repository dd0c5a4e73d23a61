"""Many screens, scripts and browsers on one owner."""
