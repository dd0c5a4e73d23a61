"""This process and those around it: its start, its memory, its threads, its children."""
