"""Recognises that a service refuses, and until when, in headers, texts and whole HTTP answers."""
