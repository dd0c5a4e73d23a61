"""What must hold in every history: slots, what tasks are owed, when they start, freezes."""
