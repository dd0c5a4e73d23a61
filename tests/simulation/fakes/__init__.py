"""What a scheduler in a simulation gets instead of the machine: a loop, a clock, a disk, processes."""
