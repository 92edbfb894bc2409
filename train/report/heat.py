"""Pixels and heat maps of single clips, from the caches and checkpoints of a run."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_cache.errors import MptError
from data_cache.read.reader import CacheReader
from train.report.loaded import LoadedRun, Prediction
from train.report.pictures import ClipPictures
from train.results.run_folder import RunFolder

log = logging.getLogger(__name__)


def find_caches(run: LoadedRun, given: Sequence[Path]) -> list[Path]:
    """The caches of a run: those given, or those where it was trained, if they are still the same."""
    wanted = {cache["content_digest"] for cache in run.config["caches"]}
    found = []
    for path in given or [Path(name) for name in run.environment.get("caches", [])]:
        if path.exists() and CacheReader(path).content_digest in wanted:
            found.append(path)
        elif given:
            log.info(f"note: {path} is not a cache of this run; no pictures are taken from it")
    return found if len(found) == len(wanted) else []


def pictures_of(run: LoadedRun, chosen: Sequence[Prediction], caches: Sequence[Path]) -> list[ClipPictures]:
    """Pixels of the chosen clips, with heat maps where the run's models can be loaded."""
    readers = {reader.attributes.dataset: reader for reader in map(CacheReader, caches)}
    places = [(readers[p.key[0]], readers[p.key[0]].clips.keys.index("/".join(p.key[1:]))) for p in chosen]
    try:
        heat = _heat_maps(run, chosen, caches)
    except MptError as error:
        log.info(f"note: no heat maps: {error}")
        heat = [{} for _ in chosen]
    return [
        ClipPictures(reader.dynamic_image(row), reader.motion(row), maps)
        for (reader, row), maps in zip(places, heat, strict=True)
    ]


def _heat_maps(run: LoadedRun, chosen: Sequence[Prediction], caches: Sequence[Path]) -> list[dict[str, np.ndarray]]:
    """Grad-CAM of each clip's predicted class, by the model that did not train on its subject."""
    import torch

    from train.data.clips import open_clips
    from train.data.pixels import ClipPixels
    from train.data.stream import Request, Stream
    from train.results.trained import load_trained
    from train.trace import heat_maps

    device = torch.device("cpu")
    names = sorted({f"{p.key[0]}__{p.key[1]}" for p in chosen})
    trained = load_trained(RunFolder(run.folder), names, device)
    clips = open_clips(caches)
    stream = Stream(ClipPixels.of(clips, trained.config), device)
    found = []
    for p in chosen:
        fold, index = names.index(f"{p.key[0]}__{p.key[1]}"), clips.keys.index(p.key)
        inputs = stream.inputs(Request(np.full((len(names), 1), index)))
        maps = heat_maps(trained.model, inputs, torch.full((len(names), 1), p.predicted))
        found.append({name: values[fold, 0].numpy() for name, values in maps.items()})
    return found
