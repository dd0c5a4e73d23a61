"""Citizens that several machines share: PostgreSQL decides who owns which, and keeps states and runs.

An extra (`pip install 'experience-tui[engine]'`): only this package imports psycopg, and nothing imports
this package without `[engine]` in the settings.
"""

import logging

# psycopg logs each lost connection in several lines; this package reports it as an error of its own.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)
