"""The published data sets: what they consist of, how they are read, fetched and verified."""
