"""The contract between the two stages: a verified HDF5 file of dynamic images and magnified motion.

`preprocess` writes caches, `train` reads them, and neither knows the other. By default the
files themselves live in a folder of this name too, `data_cache/casme2.h5`, ignored by git.
"""

from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "CacheReader": "data_cache.read.reader",
    "ClipRecord": "data_cache.schema",
    "MptError": "data_cache.errors",
    "merge": "data_cache.write.shards",
    "validate": "data_cache.read.validate",
    "write_shard": "data_cache.write.shards",
}
__all__ = ["CacheReader", "ClipRecord", "MptError", "__version__", "merge", "validate", "write_shard"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `--help` never waits for HDF5."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'data_cache' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PUBLIC[name]), name)
