"""The tables of the settings besides those of tasks."""
