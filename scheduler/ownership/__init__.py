"""Who may run a citizen: what a claim to one is, and the claims of this machine alone, by locks."""
