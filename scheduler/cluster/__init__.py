"""Citizens that several machines share: PostgreSQL decides who owns which, and remembers states and runs.

An extra (`pip install 'experience-tui[engine]'`): only this package imports psycopg, and nothing imports
this package without `[engine]` in the settings.
"""

import logging

# It tells of each lost connection in several lines; what is to be said of that is an error of ours.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)
