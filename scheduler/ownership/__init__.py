"""Who may run a citizen: claims in general, and the claims of a single machine, by locks."""
