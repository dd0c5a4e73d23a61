"""Loops without a screen: in the foreground, in the background, as services."""
