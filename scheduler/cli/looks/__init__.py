"""The looks: what only reads, and prints what it found."""
