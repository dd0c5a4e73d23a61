"""How snapshots, definitions and times are written, on a screen and on paper."""
