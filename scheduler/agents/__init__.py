"""What agents' programs print of their cost, and in which words the services behind them refuse."""
