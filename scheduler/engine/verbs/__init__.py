"""The verbs of a citizen's scheduler: what is asked of it, and how a run is ended on request."""
