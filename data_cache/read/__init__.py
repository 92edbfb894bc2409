"""Open, read and validate a cache."""
