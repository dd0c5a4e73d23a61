"""Past and coming runs on one time axis."""
