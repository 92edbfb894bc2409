"""`mpt-preprocess` that believes every disk to be empty: what a quota, or a neighbour's file, does to the check."""

from data_cache.files import atomic
from preprocess.cli import main

if __name__ == "__main__":
    atomic.free_bytes = lambda path: 10**15
    main()
