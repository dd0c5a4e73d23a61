"""The files of a home: state, history, failures, the lock."""
