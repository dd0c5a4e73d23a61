"""The exit codes of commands, for scripts."""

OK = 0
FAILED = 1  # the action failed; for a query: a last run failed
WRONG = 2  # an error
INTERRUPTED = 130  # ctrl+c
