"""Features, motion-kernel parameters and Grad-CAM maps of a trained model."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor

from data_cache.files.atomic import write_bytes
from train.config import TrainConfig
from train.data.folds import Fold
from train.data.stream import Request, Stream
from train.data.task import ClipPixels, ClipSet, Task
from train.device import shrinking
from train.loop import evaluate
from train.model.mpt import MPT, Inputs
from train.model.prompts import MotionPrompt
from train.results.checkpoint import Trained
from train.results.metrics import Prediction


def trace_clips(
    model: MPT, stream: Stream, clips: Sequence[np.ndarray], config: TrainConfig
) -> list[dict[str, np.ndarray]]:
    """Features and kernels of clips[f] by fold f.

    Each dict has `features` (clips, D) and, with motion prompts, `mu` and `sigma` (clips, m) in frames.
    """
    look = lambda part, inputs: {"features": part.features(inputs), **_kernels(part, inputs)}  # noqa: E731
    return evaluate(model, stream, clips, config, look)


def heat_maps(model: MPT, inputs: Inputs, classes: Tensor) -> dict[str, Tensor]:
    """Grad-CAM (Selvaraju et al. 2017) of the logit of `classes` (F, B), for each clip: (F, B, rows, columns), ≥ 0.

    `image`: on the image tokens that enter the last block: where the evidence lies in the image.
    `motion`: on the patches of all motion frames, before they are averaged: where the evidence lies in
    the motion; only with motion prompts that have an activation.
    """
    watched: dict[str, Tensor] = {}

    def watch(name: str, values: Tensor) -> Tensor:
        watched[name] = values if values.requires_grad else values.detach().requires_grad_()
        watched[name].retain_grad()
        return watched[name]

    tokenizer = model.prompts.tokenizer if isinstance(model.prompts, MotionPrompt) else None
    activation = tokenizer.activation if tokenizer is not None else None
    if tokenizer is not None and activation is not None:
        tokenizer.activation = lambda values: watch("motion", activation(values))
    try:
        with torch.enable_grad():
            features = model.features(inputs, lambda tokens: watch("image", tokens))
            logits = model.head(features)
            logits.gather(-1, classes[..., None]).sum().backward()
    finally:
        if tokenizer is not None:
            tokenizer.activation = activation
        model.zero_grad(set_to_none=True)
    first = model.backbone.prefix
    seen = first + model.backbone.vit.patch_embed.num_patches
    maps = {"image": _grad_cam(watched["image"][:, :, None, first:seen], watched["image"].grad[:, :, None, first:seen])}  # type: ignore[index]
    if "motion" in watched and inputs.patches is not None:
        shape = (*inputs.patches.shape[:4], -1)  # (F, B, T, n, C)
        gradient = watched["motion"].grad
        assert gradient is not None
        maps["motion"] = _grad_cam(watched["motion"].view(shape), gradient.view(shape))
    return {name: values.unflatten(-1, (round(values.shape[-1] ** 0.5), -1)) for name, values in maps.items()}


def clip_maps(trained: Trained, clips: ClipSet, predictions: Sequence[Prediction]) -> list[dict[str, np.ndarray]]:
    """Grad-CAM maps of each prediction's class, (rows, columns) in 0..1, as in `heat_maps`.

    A map is the mean over the models of the prediction, each scaled to its own maximum, so that they count alike.
    """
    stream = Stream(ClipPixels(clips, trained.config), next(trained.model.parameters()).device)

    @cache  # neighbours have the same models, whose weights are copied
    def part_of(models: tuple[str, ...]) -> MPT:
        return trained.model.some_folds([trained.names.index(name) for name in models])

    def by_models(prediction: Prediction, models: tuple[str, ...]) -> dict[str, Tensor]:
        each = (len(models), 1)
        inputs = stream.inputs(Request(np.full(each, clips.keys.index(prediction.key))))
        return heat_maps(part_of(models), inputs, torch.full(each, prediction.predicted, device=stream.device))

    def attempt(size: int) -> list[dict[str, np.ndarray]]:
        found = []
        for prediction in predictions:
            names = prediction.models
            parts = [by_models(prediction, names[first : first + size]) for first in range(0, len(names), size)]
            maps = {name: torch.cat([part[name][:, 0] for part in parts]) for name in parts[0]}  # (models, …)
            peaks = {name: each.amax((-2, -1), keepdim=True).clamp(min=1e-12) for name, each in maps.items()}
            found.append({name: (each / peaks[name]).mean(0).cpu().numpy() for name, each in maps.items()})
        return found

    most = max((len(prediction.models) for prediction in predictions), default=1)
    return shrinking(attempt, most, "model", stream.device, "--device cpu, or a figure without --gradcam")


def shown_fold(task: Task) -> Fold:
    """The fold that the overview shows: that with the most test clips."""
    return max(task.folds, key=lambda fold: len(fold.test))


def write_overview(path: Path, task: Task, group: list[Fold], model: MPT, stream: Stream, config: TrainConfig) -> None:
    """Store the features of all clips under the model of `shown_fold`, which is one of `group`.

    The file holds `features` (clips, D), `labels` (clips,), `test` (clips,) 0 or 1, and `fold` (1,), its
    number among all folds.
    """
    fold = shown_fold(task)
    clips = np.array(sorted((*fold.train, *fold.test)))
    wanted = [clips if other == fold else clips[:1] for other in group]
    features = trace_clips(model, stream, wanted, config)[group.index(fold)]["features"]
    arrays = {
        "features": features,
        "labels": task.labels(clips.tolist()),
        "test": np.isin(clips, fold.test).astype(np.uint8),
        "fold": np.array([task.folds.index(fold)]),
    }
    write_bytes(path, save(arrays))


def _grad_cam(values: Tensor, gradient: Tensor) -> Tensor:
    """Channels weighted by their mean gradient over places: (F, B, T, n, C) → (F, B, n), summed over T."""
    weights = gradient.mean(3, keepdim=True)
    return (weights * values).sum(-1).relu().sum(2).detach()


def _kernels(model: MPT, inputs: Inputs) -> dict[str, Tensor]:
    if not isinstance(model.prompts, MotionPrompt) or inputs.patches is None:
        return {}
    tokenizer = model.prompts.tokenizer
    mu, sigma = tokenizer.moments(tokenizer.frame_features(inputs.patches))
    return {"mu": mu, "sigma": sigma}
