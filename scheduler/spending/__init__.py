"""What runs cost: the ledger of a home, budgets, prices of tokens, forecasts."""
