"""What a key asks for, on its way to the citizens."""
