"""The setting up: what moves in, restores, or makes a service of a citizen."""
