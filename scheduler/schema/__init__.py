"""Reading values and tables that a person wrote."""
