"""The cost of runs: the ledger of a home, budgets, token prices, forecasts."""
