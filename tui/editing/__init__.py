"""Changing settings from the screen: the forms and questions, and the changes."""
