"""The main screen: a panel per citizen."""
