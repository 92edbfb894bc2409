"""Files on disk: atomic writes, one writer at a time, checksums, free space."""
