"""The wake: what is special about it beside a task: its barrier, its letter and its record."""
