"""All tasks of all citizens as rows of one table."""
