"""Services that agents call, and when one of them is away: shared by all citizens of a root that name it."""
