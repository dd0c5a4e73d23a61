"""The socket between an owner and who watches or steers it: both ends, and what is said."""
