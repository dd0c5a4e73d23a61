"""Commands that only read and print."""
