"""A page on which the clips of a cache move: written once, opened from disk without a server."""
