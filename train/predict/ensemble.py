"""The answers of trained models to clips: logits of each, probabilities of all together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import softmax

from data_cache.errors import UsageError
from train import final
from train.data.clips import ClipSet, open_clips, recipe_changes
from train.data.pixels import ClipPixels
from train.data.stream import Request, Stream
from train.loop import predict
from train.results.run_folder import RunFolder
from train.results.trained import Trained
from train.trace import heat_maps


@dataclass(frozen=True)
class Answer:
    """What the models say of one clip.

    Attributes:
        key: data set, subject and clip.
        logits: (models, classes).
    """

    key: tuple[str, str, str]
    logits: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """(classes,), the mean over the models of their softmax."""
        return np.asarray(softmax(self.logits.astype(np.float64), 1).mean(0))

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())


def choose_models(run: RunFolder, fold: str | None) -> list[str]:
    """Names of the checkpoints to ask: one fold's, the final model's, or by default those of all folds.

    Raises:
        UsageError: there is no such fold.
    """
    names = [str(name) for name in run.config["subjects"]]
    if fold is None:
        return names
    if fold == final.NAME:
        if not run.checkpoint(final.NAME).exists():
            raise UsageError(f"{run.path} has no final model; run its mpt-train command again with --final")
        return [final.NAME]
    fitting = [name for name in names if fold in (name, name.split("__", 1)[-1])]
    if len(fitting) != 1:
        raise UsageError(f"--fold is {fold!r}; choose one of {', '.join(names)}, or {final.NAME}")
    return fitting


def open_for(trained: Trained, cache: Path) -> ClipSet:
    """Open a cache whose clips are to be shown to `trained`.

    Raises:
        UsageError: it was made with another recipe than the models were trained on.
    """
    clips = open_clips([cache])
    differing = recipe_changes(trained.card.recipe, clips.readers[0].attributes.recipe)
    if differing:
        raise UsageError(f"{cache} was made with another recipe than the run's cache: {'; '.join(differing)}")
    return clips


def answer_clips(trained: Trained, clips: ClipSet) -> list[Answer]:
    """Ask every model about every clip."""
    models = len(trained.names)
    everything = [np.arange(len(clips))] * models
    # As many images at once as in training, however many models there are.
    config = replace(trained.config, batch_size=max(1, trained.config.batch_size // models))
    logits = np.stack(
        predict(trained.model, _stream(trained, clips), everything, config), 1
    )  # (clips, models, classes)
    return [Answer(key, rows) for key, rows in zip(clips.keys, logits, strict=True)]


def heat_of(trained: Trained, clips: ClipSet, answers: Sequence[Answer]) -> list[dict[str, np.ndarray]]:
    """Grad-CAM of each clip's predicted class, mean over the models; maps as in `heat_maps`, (rows, columns)."""
    stream, models = _stream(trained, clips), len(trained.names)
    found = []
    for clip, answer in enumerate(answers):
        classes = torch.full((models, 1), answer.predicted, device=stream.device)
        maps = heat_maps(trained.model, stream.inputs(Request(np.full((models, 1), clip))), classes)
        found.append({name: _mean_map(values[:, 0]) for name, values in maps.items()})
    return found


def as_json(run: RunFolder, trained: Trained, answers: Sequence[Answer], source: Path) -> dict[str, Any]:
    """The answers as a JSON object."""
    classes = trained.card.classes
    return {
        "run": run.path.resolve().name,
        "input": str(source),
        "models": list(trained.names),
        "backbone_digest": trained.card.backbone_digest,
        "classes": list(classes),
        "clips": [
            {
                "subject": answer.key[1],
                "clip": answer.key[2],
                "predicted": classes[answer.predicted],
                "probabilities": dict(zip(classes, map(float, answer.probabilities), strict=True)),
                "logits": {
                    name: [float(value) for value in logits]
                    for name, logits in zip(trained.names, answer.logits, strict=True)
                },
            }
            for answer in answers
        ],
    }


def _stream(trained: Trained, clips: ClipSet) -> Stream:
    device = next(trained.model.parameters()).device
    return Stream(ClipPixels.of(clips, trained.config), device)


def _mean_map(maps: torch.Tensor) -> np.ndarray:
    """(models, rows, columns) → (rows, columns): each model's map counts the same, whatever its scale."""
    peaks = maps.amax((-2, -1), keepdim=True).clamp(min=1e-12)
    return np.asarray((maps / peaks).mean(0).cpu().numpy())
