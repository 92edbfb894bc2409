"""Predictions of trained models for clips: logits of each model, probabilities of all together."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from data_cache.errors import InvalidFile, UsageError
from train import final
from train.data.clips import ClipPixels, ClipSet, open_clips
from train.data.folds import subject_of
from train.data.stream import Stream
from train.loop import predict
from train.results.checkpoint import Trained
from train.results.forms import misfit, name
from train.results.metrics import Prediction
from train.results.run_folder import RunFolder


def choose_models(run: RunFolder, fold: str | None) -> list[str]:
    """Names of the checkpoints to use: one fold's, the final model's, or by default those of all folds.

    Raises:
        UsageError: there is no such fold.
    """
    config = run.config
    if (where := misfit(config, {"subjects": [name], "classes": [name]})) is not None or not config["subjects"]:
        raise InvalidFile(f"{run.path}/config.json: its {where or 'subjects'} cannot be; it is no run")
    names = list(config["subjects"])
    if fold is None:
        return names
    if fold == final.NAME:
        if not run.checkpoint(final.NAME).exists():
            raise UsageError(f"{run.path} has no final model; run its mpt-train command again with --final")
        return [final.NAME]
    fitting = [name for name in names if fold in (name, subject_of(name))]
    fitting = fitting or [each.name for each in run.read_folds() if fold in {key[1] for key in each.keys}]
    if len(fitting) != 1:
        raise UsageError(f"--fold is {fold!r}; choose one of {', '.join(names)}, or {final.NAME}")
    return fitting


def open_for(trained: Trained, cache: Path) -> ClipSet:
    """Open a cache whose clips are to be shown to `trained`.

    Raises:
        UsageError: it was made with another recipe than the models were trained on.
    """
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
    stream = Stream(ClipPixels.of(clips, trained.config), next(trained.model.parameters()).device)
    logits = np.stack(predict(trained.model, stream, everything, config), 1)  # (clips, models, classes)
    return [Prediction(key, rows, trained.names) for key, rows in zip(clips.keys, logits, strict=True)]


def as_json(run: RunFolder, trained: Trained, predictions: Sequence[Prediction], source: Path) -> dict[str, Any]:
    """The predictions as a JSON object."""
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
                "logits": {name: row.tolist() for name, row in zip(each.models, each.logits, strict=True)},
            }
            for each in predictions
        ],
    }
