"""Reads outside input: values and tables that a person wrote, and JSON into dataclasses and back."""
