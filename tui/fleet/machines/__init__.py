"""What the fleet shows where several machines share citizens."""
