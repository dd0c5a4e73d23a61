"""The monitor in a real terminal: first frame, keys, memory."""
