"""What the screen teaches: the first steps, how to make a citizen, how to fix settings."""
