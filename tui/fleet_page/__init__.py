"""The page of the fleet: what is between its first lines and the keys."""
