"""What users of schedulers saw, one readable scenario each."""
