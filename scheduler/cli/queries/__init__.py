"""Commands that only read, and print what they found."""
