"""Predictions of trained models for clips: logits of each model, probabilities of all together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from data_cache.errors import InvalidFile, MptError, UsageError
from data_cache.protocols.protocol import ClipKey
from data_cache.read.reader import CacheReader
from train.data.folds import subject_of
from train.data.stream import Stream
from train.data.task import ClipPixels, ClipSet, open_clips
from train.job import FINAL
from train.loop import predict
from train.results.checkpoint import Trained
from train.results.forms import misfit, name
from train.results.metrics import Prediction
from train.results.run_folder import RunFolder


def choose_models(run: RunFolder, fold: str | None) -> list[str]:
    """Names of the checkpoints to use: one fold's, the final model's, or by default those of all folds."""
    config = run.config
    if (where := misfit(config, {"subjects": [name], "classes": [name]})) is not None or not config["subjects"]:
        raise InvalidFile(f"{run.path}/config.json: its {where or 'subjects'} cannot be; it is no run")
    names = list(config["subjects"])
    if fold is None:
        return names
    if fold == FINAL:
        if not run.checkpoint(FINAL).exists():
            raise UsageError(f"{run.path} has no final model; run its mpt-train command again with --final")
        return [FINAL]
    fitting = [name for name in names if fold in (name, subject_of(name))]
    fitting = fitting or [each.name for each in run.read_folds() if fold in {key[1] for key in each.keys}]
    if len(fitting) != 1:
        raise UsageError(f"--fold is {fold!r}; choose one of {', '.join(names)}, or {FINAL}")
    return fitting


def open_for(trained: Trained, cache: Path) -> ClipSet:
    """Open a cache whose clips are to be shown to `trained`; a UsageError if it was made with another recipe."""
    clips = open_clips([cache])
    differing = trained.card.recipe.changes_to(clips.readers[0].attributes.stored_recipe)
    if differing:
        raise UsageError(f"{cache} was made with another recipe than the run's cache: {'; '.join(differing)}")
    return clips


def predict_clips(trained: Trained, clips: ClipSet) -> list[Prediction]:
    """Predict every clip with every model."""
    models = len(trained.names)
    everything = [np.arange(len(clips))] * models
    # As many images at once as in training, however many models there are.
    config = replace(trained.config, batch_size=max(1, trained.config.batch_size // models))
    stream = Stream(ClipPixels(clips, trained.config), next(trained.model.parameters()).device)
    logits = np.stack(predict(trained.model, stream, everything, config), 1)  # (clips, models, classes)
    return [Prediction(key, rows, trained.names) for key, rows in zip(clips.keys, logits, strict=True)]


def trained_on(run: RunFolder, trained: Trained, clips: ClipSet) -> dict[ClipKey, list[str]]:
    """Clip → those of the models that were trained on it; only clips that one was.

    A clip is known by data set, subject and name, or by its pixels, as long as the run's caches are where they were.
    """
    tested = {key: fold.name for fold in run.read_folds() for key in fold.keys}
    known = set(tested)
    pixels: dict[str, ClipKey] = {}
    for path in run.environment.get("caches", []):
        try:
            reader = CacheReader(path)
        except MptError:
            continue
        table = reader.clips
        keys = [(reader.attributes.dataset, *pair) for pair in zip(table.subject, table.clip, strict=True)]
        pixels |= dict(zip(table.sha256, keys, strict=True))
        if len(tested) != sum(run.config["clips"].values()):  # a split that never tests some
            known |= set(keys)
    found = {}
    for key, (reader, row) in zip(clips.keys, clips.rows, strict=True):
        same = key if key in known else pixels.get(reader.clips.sha256[row])
        models = [name for name in trained.names if same in known and tested.get(same) != name]
        if models:
            found[key] = models
    return found


def as_json(
    run: RunFolder,
    trained: Trained,
    predictions: Sequence[Prediction],
    source: Path,
    seen: Mapping[ClipKey, Sequence[str]],
) -> dict[str, Any]:
    """The predictions as a JSON object; `seen` is what `trained_on` found."""
    classes = trained.card.classes
    return {
        "run": run.path.resolve().name,
        "input": str(source),
        "models": list(trained.names),
        "backbone_digest": trained.card.backbone_digest,
        "classes": list(classes),
        "clips": [
            {
                "subject": each.key[1],
                "clip": each.key[2],
                "predicted": classes[each.predicted],
                "probabilities": dict(zip(classes, map(float, each.probabilities), strict=True)),
                "trained_on_by": list(seen.get(each.key, [])),
                "logits": {name: row.tolist() for name, row in zip(each.models, each.logits, strict=True)},
            }
            for each in predictions
        ],
    }
