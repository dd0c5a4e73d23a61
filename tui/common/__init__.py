"""What several screens share: text, styles, widgets."""
