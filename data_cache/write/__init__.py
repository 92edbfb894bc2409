"""Write shards and merge them into a cache."""
