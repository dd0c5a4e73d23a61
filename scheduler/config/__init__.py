"""Settings: the files and the environment, read into frozen values."""
