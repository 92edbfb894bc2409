"""A cache of noise for the training benchmark."""

from pathlib import Path

import numpy as np

from data_cache.digest import digest
from data_cache.schema import CacheAttributes, ClipRecord
from data_cache.write.shards import merge, write_shard
from train.model.build import Shape


def synthetic_cache(folder: Path, shape: Shape, subjects: int, clips: int) -> Path:
    """A cache of noise with the names of CASME II's protocol."""
    rng = np.random.default_rng(0)
    recipe = {"frames": shape.frames, "size": shape.size, "filter": "causal", "motion_form": "additive"}
    attributes = CacheAttributes("demo", recipe, digest(recipe), "0" * 64, {}, "synthetic noise")
    emotions = ("disgust", "happiness", "others", "repression", "surprise")
    shards = []
    for number in range(clips):
        pixels = rng.integers(0, 256, (shape.frames + 1, shape.size, shape.size, 3), dtype=np.uint8)
        names = (f"sub{number % subjects:02d}", f"EP{number:03d}", emotions[number % 5])
        record = ClipRecord(*names, 1, -1, 60, 60, 200.0, 0.0, pixels[0], pixels[1:])
        shards.append(folder / f"shard{number}.h5")
        write_shard(shards[-1], record, attributes)
    merge(shards, folder / "synthetic.h5")
    for shard in shards:
        shard.unlink()
    return folder / "synthetic.h5"
