"""The verbs of a citizen's scheduler, including the one that ends a run."""
