"""Whole files: atomic writes, one writer at a time, checksums, free space."""
