"""Changes settings files: planned as text, checked as the loader reads them, undone exactly."""
