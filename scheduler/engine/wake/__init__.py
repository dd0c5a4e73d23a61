"""The wake: how it differs from a task, by its barrier, its letter and its record."""
