"""A whole build: what there is to do, and doing it."""
