"""Lateness, bursts, history and output of schedulers, each beside a floor or a peer."""
