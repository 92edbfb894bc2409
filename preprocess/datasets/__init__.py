"""One file per data set; each only finds clips."""
