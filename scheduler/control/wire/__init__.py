"""The socket between an owner and its clients: both ends, and the protocol."""
