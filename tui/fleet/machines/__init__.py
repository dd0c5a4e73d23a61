"""The parts of the fleet screen for citizens that machines share."""
