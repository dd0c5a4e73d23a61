"""The terminal around the screens: signals, title, clipboard; pager and editor."""
