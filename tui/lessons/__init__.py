"""What the screen teaches: the first steps, an empty fleet, settings that are wrong."""
