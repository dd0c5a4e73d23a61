"""How a command ends, for scripts."""

OK = 0
FAILED = 1  # what it did failed; for a look: a last run failed
WRONG = 2  # an error
INTERRUPTED = 130  # ctrl+c
