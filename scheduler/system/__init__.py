"""What the scheduler asks of the operating system: time, files, processes, sockets."""
