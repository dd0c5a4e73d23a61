"""Reading what comes from outside: one value or table that a person wrote, JSON into dataclasses and back."""
