"""The tables of the settings that stand beside those of tasks and of the wake."""
